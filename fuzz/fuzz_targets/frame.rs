#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| highwater::fuzzing::frame(input));

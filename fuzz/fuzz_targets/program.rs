#![no_main]

use highwater_fuzz as _;

libfuzzer_sys::fuzz_target!(|input: &[u8]| highwater::fuzzing::program(input));

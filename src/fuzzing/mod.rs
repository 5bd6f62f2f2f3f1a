//! What the fuzz targets do, one function each: `fuzz/fuzz_targets` calls them with bytes that a fuzzer makes, the test below
//! with those that the fuzzer once found worth keeping. Not part of the library: only test and fuzzing builds have it.
//!
//! A target panics if a promise is broken. That it ends soon and in little memory is the fuzzer's to watch.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod choices;
mod directory;
mod exam;
mod frame;
mod patch;
mod program;
#[cfg(test)]
mod seeds;
mod segment;
mod small_disk;

pub use directory::directory;
pub use frame::frame;
pub use program::program;
pub use segment::segment;

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    type Target = fn(&[u8]);
    const TARGETS: [(&str, Target); 4] =
        [("frame", frame), ("segment", segment), ("directory", directory), ("program", program)];

    fn corpus(target: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
    }

    /// Every input that the fuzzer kept, and every one that once broke something.
    #[test]
    fn the_corpora_replay() {
        for (name, target) in TARGETS {
            let mut inputs = 0;
            for entry in std::fs::read_dir(corpus(name)).unwrap() {
                let path = entry.unwrap().path();
                println!("{}", path.display()); // shown if it panics
                target(&std::fs::read(&path).unwrap());
                inputs += 1;
            }
            assert!(inputs >= 10, "only {inputs} inputs for {name}: the corpus is lost");
        }
    }

    /// What a fuzzer starts with, out of a real log. `HIGHWATER_SOW=1` writes it into the corpora, after a change of the
    /// format or of a target's input.
    #[test]
    fn the_seeds_pass() {
        let seeds = [seeds::bodies(), seeds::segments(), seeds::directories(), seeds::programs()];
        for ((name, target), seeds) in TARGETS.into_iter().zip(seeds) {
            for (i, seed) in seeds.iter().enumerate() {
                target(seed);
                if std::env::var_os("HIGHWATER_SOW").is_some() {
                    std::fs::create_dir_all(corpus(name)).unwrap();
                    std::fs::write(corpus(name).join(format!("seed-{i:02}")), seed).unwrap();
                }
            }
        }
    }
}

//! Whether the source is configured as it was, without keeping how.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde_json::Value;

use super::Pipeline;
use super::section::Section;
use crate::failure::{Failure, Result};
use crate::files;

/// Keys that change nothing about what the source sends.
const OF_NO_CONCERN: [&str; 5] = ["silence_timeout", "stop_timeout", "mount", "rotated_config", "follow"];
/// Among the fingerprints, that of the secret with which the others are made.
pub(crate) const SECRET: &str = "secret";
/// Holds the secret with which fingerprints are made.
pub(crate) const FILE: &str = "fingerprint.key";
/// Bytes of a fingerprint that are kept; in hexadecimal, twice as many letters.
const KEPT_BYTES: usize = 8;

impl Pipeline {
    /// Fingerprints of the source's configuration by its parts: `type`, `command`, `config.host`. They are hashes with a secret of
    /// this pipeline, so that nobody who reads the log can try passwords. Blocks for a flush the first time.
    pub fn fingerprints(&self) -> Result<BTreeMap<String, String>> {
        let key = secret(&self.work)?;
        let print = |text: &str| {
            let hash = blake3::keyed_hash(&key, text.as_bytes());
            hash.to_hex()[..2 * KEPT_BYTES].to_owned()
        };
        let mut prints = BTreeMap::from([(SECRET.to_owned(), print(""))]);
        let section = Section::new("source", self.source.clone(), &self.variables);
        for (name, value) in section.whole()? {
            match value {
                _ if OF_NO_CONCERN.contains(&name.as_str()) => {}
                Value::Object(inner) => {
                    for (part, value) in inner {
                        prints.insert(format!("{name}.{part}"), print(&value.to_string()));
                    }
                }
                value => drop(prints.insert(name, print(&value.to_string()))),
            }
        }
        if let Some(hash_key) = self.hash_key()? {
            prints.insert("hash_key".to_owned(), print(&hash_key));
        }
        Ok(prints)
    }
}

/// Of all parts together: what a checkpoint's label says.
pub(crate) fn together(parts: &BTreeMap<String, String>) -> String {
    let mut all = blake3::Hasher::new();
    for (name, print) in parts {
        all.update(format!("{name}={print}\n").as_bytes());
    }
    all.finalize().to_hex()[..2 * KEPT_BYTES].to_owned()
}

/// Made by the first who needs it.
fn secret(work: &Path) -> Result<[u8; 32]> {
    let path = work.join(FILE);
    let failed = |e: std::io::Error| Failure::config(format!("the secret {}", path.display())).because(e);
    match std::fs::read(&path) {
        Ok(bytes) => {
            let of_length = bytes.try_into();
            of_length
                .map_err(|_| Failure::config(format!("{} is not what was written there", path.display())))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let mut bytes = [0; 32];
            std::fs::File::open("/dev/urandom")
                .and_then(|mut file| file.read_exact(&mut bytes))
                .map_err(failed)?;
            files::make_private_directory(work).map_err(failed)?;
            files::write_private(&path, &bytes).map_err(failed)?;
            Ok(bytes)
        }
        Err(e) => Err(failed(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prints(dir: &Path, config: &str) -> BTreeMap<String, String> {
        let text = format!(
            "version = 1\nname = 'p'\nlog = 'log.hw'\nhash_key = 'pepper'\n[source]\ntype = 'airbyte'\n\
             silence_timeout = '5s'\n[source.config]\n{config}"
        );
        Pipeline::parse(&text, dir).unwrap().fingerprints().unwrap()
    }

    #[test]
    fn a_part_that_changes_has_another_print_and_none_tells_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let first = prints(dir.path(), "host = 'db'\npassword = 'hunter2'");
        let names: Vec<&str> = first.keys().map(String::as_str).collect();
        assert_eq!(names, ["config.host", "config.password", "hash_key", "secret", "type"]);
        assert_eq!(prints(dir.path(), "password = 'hunter2'\nhost = 'db'"), first);
        let second = prints(dir.path(), "host = 'db'\npassword = 'hunter3'");
        let differs: Vec<&String> = first.keys().filter(|key| first[*key] != second[*key]).collect();
        assert_eq!(differs, ["config.password"]);
        assert_eq!(together(&first), together(&first.clone()));
        assert_ne!(together(&first), together(&second));
        // Another pipeline has another secret: the same password looks different.
        let other = tempfile::tempdir().unwrap();
        assert_ne!(prints(other.path(), "password = 'hunter2'")["config.password"], first["config.password"]);
        use std::os::unix::fs::PermissionsExt;
        let mode =
            std::fs::metadata(dir.path().join("log.hw.connect").join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

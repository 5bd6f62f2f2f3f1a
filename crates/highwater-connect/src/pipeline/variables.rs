//! `${env:NAME}`, `${file:PATH}`, `${hw:dir}` and `${hw:user}` in the values of a pipeline file.
//!
//! They are put in after the file is parsed, so a value can't change what the file says. What comes from the environment or
//! from a file is a secret: it is remembered, and taken out of everything that is shown.

mod private;
mod secrets;
mod spelling;

use std::io::Read;
use std::path::{Path, PathBuf};

pub use self::secrets::Secrets;
use crate::failure::{Failure, Result};

/// A secret file may be so long, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What variables stand for.
#[derive(Debug, Clone)]
pub struct Variables {
    /// Paths in the pipeline file are relative to this directory, that of the file.
    base: PathBuf,
    /// What `${hw:dir}` stands for.
    work: PathBuf,
    secrets: Secrets,
}

impl Variables {
    /// `base` is the pipeline file's directory, `work` that of the pipeline's own files.
    pub fn new(base: impl Into<PathBuf>, work: impl Into<PathBuf>) -> Self {
        Variables { base: base.into(), work: work.into(), secrets: Secrets::default() }
    }

    /// The secrets that were met so far.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The directory that relative paths start from.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// Puts values for the variables in a text. Each value is taken as it is: a variable in it stays what it is.
    pub fn resolve(&self, text: &str) -> Result<String> {
        let mut resolved = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            resolved.push_str(&rest[..start]);
            let inside = &rest[start + 2..];
            let end = inside.find('}').ok_or_else(|| {
                Failure::config(format!("a variable begins with ${{ and has no }} in {text:?}"))
            })?;
            resolved.push_str(&self.value(&inside[..end])?);
            rest = &inside[end + 1..];
        }
        resolved.push_str(rest);
        Ok(resolved)
    }

    fn value(&self, variable: &str) -> Result<String> {
        let unknown = || {
            Failure::config(format!(
                "variable ${{{variable}}} is unknown: there are ${{env:NAME}}, ${{file:PATH}}, ${{hw:dir}} and ${{hw:user}}"
            ))
        };
        match variable.split_once(':').ok_or_else(unknown)? {
            ("env", name) => {
                let value = std::env::var(name).map_err(|error| {
                    Failure::config(format!("variable ${{{variable}}} has no value")).because(error)
                })?;
                Ok(self.secrets.remember(value))
            }
            ("file", path) => Ok(self.secrets.remember(self.file(path)?)),
            ("hw", "dir") => {
                let text = self.work.to_str();
                Ok(text.ok_or_else(|| Failure::config("the directory's name is not UTF-8"))?.to_owned())
            }
            ("hw", "user") => Ok(user()),
            _ => Err(unknown()),
        }
    }

    /// A file's content, without the line break that an editor puts at its end.
    fn file(&self, path: &str) -> Result<String> {
        let path = self.base.join(path);
        let cant =
            |e: std::io::Error| Failure::config(format!("reading the secret {}", path.display())).because(e);
        let file = std::fs::File::open(&path).map_err(cant)?;
        private::check(&file.metadata().map_err(cant)?)
            .map_err(|what| Failure::config(format!("the secret {} {what}", path.display())))?;
        let mut text = String::new();
        file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(cant)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(Failure::config(format!("the secret {} is longer than 1 MiB", path.display())));
        }
        let end = text.trim_end_matches(['\n', '\r']).len();
        text.truncate(end);
        Ok(text)
    }
}

/// The variables in a text whose values are secrets: `env:NAME`, `file:PATH`.
pub(super) fn secrets_in(text: &str) -> impl Iterator<Item = &str> {
    let variables = text.split("${").skip(1).filter_map(|rest| rest.split('}').next());
    variables.filter(|variable| variable.starts_with("env:") || variable.starts_with("file:"))
}

/// Who we are, as a container engine takes it: files of ours are for nobody else.
fn user() -> String {
    let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
    format!("{}:{}", user.as_raw(), group.as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files;

    #[test]
    fn a_variable_becomes_its_value_and_a_secret() {
        let dir = tempfile::tempdir().unwrap();
        files::write_private(&dir.path().join("token"), b"a\"b${env:HOME}\n").unwrap();
        let variables = Variables::new(dir.path(), "/work");
        let text = variables.resolve("x-${file:token}-${hw:dir}").unwrap();
        assert_eq!(text, "x-a\"b${env:HOME}-/work");
        let hidden = variables.secrets().hide(r#"is {"t":"a\"b${env:HOME}"} or a"b${env:HOME}"#).into_owned();
        assert_eq!(hidden, r#"is {"t":"***"} or ***"#);
        assert!(!format!("{variables:?}").contains("HOME"));
    }

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "hunter2").unwrap();
        let resolve = |mode| {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            Variables::new(dir.path(), "/work").resolve("${file:token}").map_err(|e| e.to_string())
        };
        assert_eq!(resolve(0o600).as_deref(), Ok("hunter2"));
        for mode in [0o644, 0o604, 0o602, 0o660] {
            let refused = resolve(mode).unwrap_err();
            assert!(
                refused.contains("token can be read or written by others") && refused.contains("chmod 600")
            );
            assert!(refused.contains(&format!("mode {mode:03o}")), "{refused}");
        }
    }

    #[test]
    fn the_user_is_two_numbers() {
        let user = Variables::new(".", ".").resolve("${hw:user}").unwrap();
        let numbers: Vec<&str> = user.split(':').collect();
        assert!(numbers.len() == 2 && numbers.iter().all(|number| number.parse::<u32>().is_ok()), "{user}");
    }

    #[test]
    fn what_can_not_be_resolved_is_named() {
        let variables = Variables::new(".", ".");
        let error = |text: &str| variables.resolve(text).unwrap_err().to_string();
        assert!(error("${env:HIGHWATER_NO_SUCH_VARIABLE}").contains("HIGHWATER_NO_SUCH_VARIABLE"));
        assert!(error("${file:no/such}").contains("no/such"));
        assert!(error("${hw:dri}").contains("${hw:dri}"));
        assert!(error("${env:X").contains("no }"));
        assert_eq!(variables.resolve("$x {y} $").unwrap(), "$x {y} $");
    }
}

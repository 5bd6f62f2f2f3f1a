//! `highwater state edit`: one state in an editor.

use highwater_connect::json_text as json;
use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::change::{NewState, Plan, Writing};
use super::target::{self, Target};
use crate::doing::refuse_beside_writer;
use crate::failure::{Code, Failure};
use crate::known;
use crate::terminal;

const EXAMPLES: &str = "\
Examples:
  highwater state edit shop.hw --stream users --reason 'page 41 was empty'
  EDITOR='code --wait' highwater state edit shop.hw --global --reason 'one table less'

The editor is $VISUAL, or else $EDITOR, or else vi.";

/// Edit one state: opens an editor, shows the difference, asks
///
/// What was edited and is not written, because it is no JSON or somebody wrote meanwhile, is kept in a file that is named.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Edit {
    /// The log's directory, or the pipeline file
    pub(crate) log: PathBuf,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    writing: Writing,
}

pub(crate) fn edit(args: &Edit) -> Result<Code, Failure> {
    let log = known::open(&args.log)?;
    let name = args.target.one(&log)?;
    name.as_ref().map_or(Ok(()), known::refuse_ours)?;
    refuse_beside_writer(&log)?;
    let editor = editor()?;
    let old = target::text(&log.state()?, &name)?;
    let shown = json::pretty(old.as_deref().unwrap_or("{}"));
    let file = write_new(&shown)?;
    let edited = run_editor(&editor, &file);
    let result = edited.and_then(|edited| written_back(&edited, &shown, old.as_deref())).and_then(|new| {
        let states = vec![NewState { name, old: old.clone(), new }];
        args.writing.write(Plan::on(&args.log, &log, "edit", states))
    });
    match &result {
        Ok(_) => drop(std::fs::remove_file(&file)),
        // Nothing was edited in it, so nothing is lost.
        Err(_) if std::fs::read_to_string(&file).is_ok_and(|text| text == shown) => {
            let _ = std::fs::remove_file(&file);
        }
        Err(_) => terminal::note(format!("what you edited is kept in {}", file.display())),
    }
    result
}

/// The text to be stored. Where only the layout is another, the old one stays to the letter; what stood on one line does again.
fn written_back(edited: &str, shown: &str, old: Option<&str>) -> Result<Option<String>, Failure> {
    if edited == shown {
        return Ok(old.map(str::to_owned));
    }
    json::check(edited).map_err(|e| Failure::error(format!("what you edited is not JSON: {e}")))?;
    let compact = json::compact(edited);
    Ok(match old {
        Some(old) if json::compact(old) == compact => Some(old.to_owned()),
        Some(old) if old.trim().contains('\n') => Some(edited.trim().to_owned()),
        _ => Some(compact),
    })
}

/// A file of its own, which nobody else has made.
fn write_new(text: &str) -> Result<PathBuf, Failure> {
    let io = |e| Failure::io("making a file to edit", &e);
    for n in 0.. {
        let path = std::env::temp_dir().join(format!("highwater-state-{}-{n}.json", std::process::id()));
        match private().open(&path) {
            Ok(mut file) => {
                file.write_all(text.as_bytes()).map_err(io)?;
                return Ok(path);
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(io(e)),
        }
    }
    Err(Failure::error("no name is free for a file to edit"))
}

/// A state may hold what is not for others on this machine.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}

/// One that is set may need no terminal.
fn editor() -> Result<String, Failure> {
    let set = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    match set("VISUAL").or_else(|| set("EDITOR")) {
        Some(editor) => Ok(editor),
        None if std::io::stdin().is_terminal() => Ok("vi".to_owned()),
        None => Err(Failure::usage("there is no terminal for vi; set VISUAL or EDITOR to another editor")
            .hint("highwater state set LOG, or state merge, from standard input")),
    }
}

/// What it leaves in the file. The editor may come with arguments, so a shell takes it apart.
fn run_editor(editor: &str, file: &Path) -> Result<String, Failure> {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(file);
    let status = command.status().map_err(|e| Failure::io(format!("starting {editor}"), &e))?;
    if !status.success() {
        return Err(Failure::error(format!("nothing was changed: {editor} ended with {status}")));
    }
    std::fs::read_to_string(file).map_err(|e| Failure::io("reading what was edited", &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_changed_stays_to_the_letter() {
        let old = r#"{ "a": 1.0,  "b": [2] }"#;
        let shown = json::pretty(old);
        let back = |edited: &str| written_back(edited, &shown, Some(old)).unwrap().unwrap();
        assert_eq!(back(&shown), old);
        assert_eq!(back(&format!("\n{shown}")), old);
        assert_eq!(back(&shown.replace("1.0", "2.0")), r#"{"a":2.0,"b":[2]}"#);
        assert!(written_back("{", &shown, Some(old)).is_err());
    }
}

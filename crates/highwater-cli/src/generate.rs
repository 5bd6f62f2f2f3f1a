//! `highwater completions` and `highwater man`: made from the same definitions as the command line itself.

use std::io::Write;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::Cli;
use crate::failure::{Code, Failure};
use crate::output;

const COMPLETIONS: &str = "\
Examples:
  highwater completions bash > ~/.local/share/bash-completion/completions/highwater
  highwater completions fish > ~/.config/fish/completions/highwater.fish";

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = COMPLETIONS)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn completions(args: &Completions) -> Result<Code, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "highwater", &mut script);
    print(&script)
}

const MAN: &str = "\
Examples:
  highwater man > highwater.1
  highwater man ingest > highwater-ingest.1
  highwater man state get | man -l -";

/// Print a manual page
#[derive(Debug, clap::Args)]
#[command(after_help = MAN)]
pub(crate) struct Man {
    /// A command, like: ingest, or: state get. Default: the page of highwater itself
    command: Vec<String>,
}

pub(crate) fn man(args: &Man) -> Result<Code, Failure> {
    let mut root = Cli::command();
    root.build();
    let mut command = &root;
    for name in &args.command {
        let found = command.find_subcommand(name);
        command = found.ok_or_else(|| Failure::usage(format!("there is no command {name}")))?;
    }
    let title = std::iter::once("highwater")
        .chain(args.command.iter().map(String::as_str))
        .collect::<Vec<_>>()
        .join("-");
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).title(title).render(&mut page)?;
    print(&page)
}

fn print(text: &[u8]) -> Result<Code, Failure> {
    let mut out = output::buffered();
    out.write_all(text)?;
    out.flush()?;
    Ok(Code::Well)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the help of a command and of all below it shows.
    fn helps(mut command: clap::Command, shown: &mut Vec<(String, String)>) {
        let text = command.render_long_help().to_string();
        shown.push((command.get_name().to_owned(), text));
        command.get_subcommands().for_each(|below| helps(below.clone(), shown));
    }

    #[test]
    fn no_help_shows_how_it_is_spelt_in_the_source() {
        let mut shown = Vec::new();
        helps(Cli::command(), &mut shown);
        assert!(shown.len() > 50, "{}", shown.len());
        for (command, text) in shown {
            for odd in ["\\", "[`", "](", "///"] {
                assert!(!text.contains(odd), "{odd} in the help of {command}:\n{text}");
            }
        }
    }
}

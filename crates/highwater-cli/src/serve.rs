//! `highwater serve`: a page for people, and the same for programs.

use std::net::SocketAddr;
use std::path::PathBuf;

use highwater::LogReader;
use highwater_serve::{Listen, Server, is_unreadable};

use crate::failure::{Code, Failure};
use crate::known;
use crate::terminal;

const EXAMPLES: &str = "\
Examples:
  highwater serve shop.hw                     http://127.0.0.1:7474/
  highwater serve pipeline.toml --listen 127.0.0.1:0
  highwater serve shop.hw --token-file token  whoever has the token may rewind and edit
  curl -s http://127.0.0.1:7474/api/overview | jq .verdict

/metrics is for Prometheus, /api/openapi.json tells the API. Away from loopback nobody is answered without the token, and what has
the token is not encrypted: put a proxy with TLS in front.";

/// Show a log on a page in the browser, as a JSON API, and as metrics
///
/// It reads only, beside whoever writes the log, and takes no lock. With a token it also rewinds and edits states, while nobody
/// writes: with the same record of who and why as the command line. A log that is too damaged to be read is shown as that.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The pipeline file, or the log's directory
    pub(crate) pipeline: PathBuf,
    /// Where to listen; port 0 takes one that is free
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7474")]
    listen: SocketAddr,
    /// A file with the token, at least 16 bytes. Default: the environment's HIGHWATER_TOKEN, or none
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A name that this server goes by, beside localhost; may be given several times
    #[arg(long = "name", value_name = "HOST")]
    names: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<Code, Failure> {
    let subject = known::subject(&args.pipeline)?;
    let log = match LogReader::open(&subject.log) {
        Ok(log) => Some(log),
        Err(error) if is_unreadable(&error) => {
            terminal::warning(format!("{error}; that is what is shown until it can be read"));
            None
        }
        Err(error) => return Err(known::no_log(error)),
    };
    let listen = Listen { address: args.listen, token: args.token()?, names: args.names.clone() };
    let has_token = listen.token.is_some();
    let bound = Server::bind(listen);
    let server = bound.map_err(|e| match e.kind() {
        std::io::ErrorKind::InvalidInput => Failure::usage(e.to_string()).hint("highwater serve --help"),
        _ => Failure::io(format_args!("listening on {}", args.listen), &e),
    })?;
    let may =
        if has_token { "whoever has the token may change states" } else { "nothing can be changed there" };
    terminal::say(format!("http://{}/ shows {}; {may}", server.address(), subject.name()));
    server.run(subject, log).map_err(|e| Failure::io("serving", &e))?;
    Ok(Code::Well)
}

impl Args {
    /// Never an argument: those can be seen by everybody on the machine.
    fn token(&self) -> Result<Option<String>, Failure> {
        let token = match &self.token_file {
            Some(path) => Some(
                std::fs::read_to_string(path)
                    .map_err(|e| Failure::io(format_args!("reading {}", path.display()), &e))?,
            ),
            None => std::env::var("HIGHWATER_TOKEN").ok(),
        };
        Ok(token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty()))
    }
}

//! A connector as a program: its settings, its configuration on disk, and the commands that ask one question.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::discovered::Discovered;
use super::message::{self, Message};
use super::trace::{self, Trace};
use crate::event::Reporter;
use crate::failure::{Failure, Result};
use crate::files;
use crate::pipeline::Section;
use crate::process::{Container, Heard, Leftovers, Program, Running, Talk};
use crate::stop::{Stop, Urgency};

/// A configuration that a connector sent, in the work directory behind the connector's name.
pub(crate) const ROTATED: &str = "rotated.json";

/// The part of a pipeline file that describes an Airbyte connector.
#[derive(Clone)]
pub struct Settings {
    /// The program and its first arguments.
    pub command: Vec<String>,
    /// Arguments behind ours, like `--manifest-path`.
    pub arguments: Vec<String>,
    /// Variables of its environment.
    pub environment: Vec<(String, String)>,
    /// The connector's own configuration.
    pub config: Value,
    /// Where a configuration is kept that the connector sent itself.
    pub rotated_config: Option<PathBuf>,
    /// Without a word for so long, it is ended.
    pub silence_timeout: Duration,
    /// So long it may go on to its next state when it is to stop, or to its end when it has closed its output.
    pub stop_timeout: Duration,
    /// Where the program sees the directory of its files: in a container, that is another place than here.
    pub mount: Option<String>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The rest may hold secrets.
        f.debug_struct("Settings").field("command", &self.command).finish_non_exhaustive()
    }
}

impl Settings {
    /// Takes the settings from a section, whose `type` is taken already.
    pub fn read(mut section: Section<'_>) -> Result<Self> {
        let base = section.variables().base().to_owned();
        let command = section.words("command")?;
        if command.is_empty() {
            return Err(section.wrong("command", "is missing"));
        }
        let environment = match section.json("environment")? {
            None => Vec::new(),
            Some(Value::Object(map)) => {
                let pair = |(name, value): (String, Value)| match value {
                    Value::String(text) => Ok((name, text)),
                    _ => Err(section.wrong("environment", format!("{name}: expected a text"))),
                };
                map.into_iter().map(pair).collect::<Result<_>>()?
            }
            Some(_) => return Err(section.wrong("environment", "expected a table")),
        };
        let settings = Settings {
            command,
            arguments: section.words("arguments")?,
            environment,
            config: section.json("config")?.unwrap_or_else(|| Value::Object(serde_json::Map::new())),
            rotated_config: section.text("rotated_config")?.map(|path| base.join(path)),
            silence_timeout: section.time("silence_timeout")?.unwrap_or(Duration::from_secs(15 * 60)),
            stop_timeout: section.time("stop_timeout")?.unwrap_or(Duration::from_secs(30)),
            mount: section.text("mount")?,
        };
        section.finish()?;
        Ok(settings)
    }
}

/// A connector that can be asked and read. One at a time has its work directory.
#[derive(Debug)]
pub struct Connector {
    settings: Settings,
    program: Program,
    /// `source`, or the destination's name.
    of: String,
    work: PathBuf,
    reporter: Reporter,
    stop: Stop,
}

/// A configuration that the connector sent, and the fingerprint of the one it was given: when that is changed by a person,
/// the one that was sent counts no more.
#[derive(Serialize, Deserialize)]
struct Rotated {
    instead_of: String,
    config: Box<RawValue>,
}

impl Connector {
    /// `base` is where it runs, `work` where its files are: that is made, with mode 0700.
    pub fn new(
        settings: Settings,
        of: impl Into<String>,
        base: &Path,
        work: &Path,
        reporter: Reporter,
        stop: Stop,
    ) -> Result<Self> {
        let made = files::make_private_directory(work);
        made.map_err(|e| Failure::config(format!("making {}", work.display())).because(e))?;
        let of = of.into();
        let program = Program {
            container: Container::of(&settings.command, work, &of),
            command: settings.command.clone(),
            environment: settings.environment.clone(),
            directory: Some(base.to_owned()),
        };
        Ok(Connector { settings, program, of, work: work.to_owned(), reporter, stop })
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Writes a file for the program, mode 0600; its path, as the program sees it.
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> Result<String> {
        let name = format!("{}.{name}", self.of);
        let path = self.work.join(&name);
        let written = files::write_private(&path, content);
        written.map_err(|e| Failure::transient(format!("writing {}", path.display())).because(e))?;
        match &self.settings.mount {
            Some(mount) => Ok(format!("{}/{name}", mount.trim_end_matches('/'))),
            None => path
                .into_os_string()
                .into_string()
                .map_err(|_| Failure::config("the log's directory has a name that is not UTF-8")),
        }
    }

    /// The content of a file that was written for ourselves; `None` if there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<String>> {
        let path = self.work.join(format!("{}.{name}", self.of));
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Failure::config(format!("reading {}", path.display())).because(e)),
        }
    }

    /// The configuration that counts.
    fn config(&self) -> Result<String> {
        let given = self.settings.config.to_string();
        let path = self.rotated_path();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(given),
            Err(e) => return Err(Failure::config(format!("reading {}", path.display())).because(e)),
        };
        // Without what the parser says: it could show a secret.
        let rotated: Rotated = serde_json::from_str(&text)
            .map_err(|_| Failure::config(format!("{} is not what was written there", path.display())))?;
        if rotated.instead_of != fingerprint(&given) {
            self.reporter.note(format!(
                "{}: the configuration was changed, so the one that the connector sent earlier is not used",
                self.of
            ));
            return Ok(given);
        }
        self.remember(&rotated.config);
        Ok(rotated.config.get().to_owned())
    }

    fn rotated_path(&self) -> PathBuf {
        let default = || self.work.join(format!("{}.{ROTATED}", self.of));
        self.settings.rotated_config.clone().unwrap_or_else(default)
    }

    fn remember(&self, config: &RawValue) {
        if let Ok(value) = serde_json::from_str::<Value>(config.get()) {
            // Only what was not given: a host name is no secret, a token that came in its place is.
            remember_changed(&self.settings.config, &value, &self.reporter);
        }
    }

    /// A configuration that the connector sent is durable before anything else happens: the old one may be worthless already.
    pub(crate) fn control(&self, control: Option<&RawValue>) -> Result<()> {
        #[derive(Deserialize)]
        struct Control<'a> {
            #[serde(rename = "connectorConfig", borrow)]
            connector_config: Option<Config<'a>>,
        }
        #[derive(Deserialize)]
        struct Config<'a> {
            #[serde(borrow)]
            config: &'a RawValue,
        }
        let parsed = control.and_then(|raw| serde_json::from_str::<Control<'_>>(raw.get()).ok());
        let Some(config) = parsed.and_then(|control| control.connector_config) else {
            self.reporter.warning(format!("{}: a CONTROL message of a form that is not known", self.of));
            return Ok(());
        };
        self.remember(config.config);
        let rotated = Rotated {
            instead_of: fingerprint(&self.settings.config.to_string()),
            config: config.config.to_owned(),
        };
        let path = self.rotated_path();
        let text = serde_json::to_string(&rotated)
            .map_err(|e| Failure::permanent("writing a configuration").because(e))?;
        files::write_private(&path, text.as_bytes()).map_err(|e| {
            Failure::permanent(format!("keeping the connector's new configuration in {}", path.display()))
                .because(e)
        })?;
        self.reporter.note(format!("{}: the connector sent a new configuration, which is kept", self.of));
        Ok(())
    }

    /// Starts it. The mark says so to a successor.
    pub(crate) fn start(
        &self,
        arguments: &[String],
        listens: bool,
    ) -> Result<(Running, crate::process::Mark)> {
        let leftovers = Leftovers::new(&self.work);
        if leftovers.end(&self.of) {
            self.reporter.note(format!("{}: a process that an earlier run left was ended", self.of));
        }
        let mut arguments = arguments.to_vec();
        arguments.extend(self.settings.arguments.iter().cloned());
        let running = self.program.start(&arguments, &self.of, listens, &self.reporter)?;
        let mark = leftovers.mark(&self.of, running.id())?;
        Ok((running, mark))
    }

    /// The arguments that name the configuration, which is written.
    pub(crate) fn configured(&self, command: &str) -> Result<Vec<String>> {
        let mut arguments = self.config_argument()?;
        arguments.insert(0, command.to_owned());
        Ok(arguments)
    }

    /// The argument that names the configuration, which is written, for programs without commands.
    pub(crate) fn config_argument(&self) -> Result<Vec<String>> {
        let config = self.write("config.json", self.config()?.as_bytes())?;
        Ok(vec!["--config".to_owned(), config])
    }

    /// Whether somebody asked to stop.
    pub(crate) fn is_stopping(&self) -> bool {
        self.urgency() > Urgency::None
    }

    /// How urgently somebody asked to stop.
    pub(crate) fn urgency(&self) -> Urgency {
        self.stop.urgency()
    }

    /// What its lines are told as: `source`, or the destination's name.
    pub(crate) fn of(&self) -> &str {
        &self.of
    }

    /// What it says about its configuration, as it says it. Blocks for its answer.
    pub fn spec(&self) -> Result<String> {
        let spec = |message: &Message<'_>| message.spec.map(|spec| spec.get().to_owned());
        self.ask(&["spec".to_owned()], "SPEC", spec)
    }

    /// Whether it can work with its configuration. Blocks for its answer.
    pub fn check(&self) -> Result<()> {
        #[derive(Deserialize)]
        struct Answer {
            status: String,
            message: Option<String>,
        }
        let answer = self.ask(&self.configured("check")?, "CONNECTION_STATUS", |message| {
            message.connection_status.and_then(|raw| serde_json::from_str::<Answer>(raw.get()).ok())
        })?;
        if answer.status == "SUCCEEDED" {
            return Ok(());
        }
        let why = answer.message.unwrap_or_else(|| "it does not say why".to_owned());
        Err(Failure::config(format!("it refuses its configuration: {why}")))
    }

    /// The streams it has. Blocks for its answer.
    pub fn discover(&self) -> Result<Vec<Discovered>> {
        let text = self.ask(&self.configured("discover")?, "CATALOG", |message| {
            message.catalog.map(|catalog| catalog.to_owned())
        })?;
        Discovered::parse_all(&text)
    }

    /// Asks one question, and takes the first answer. Failures call it "it": whoever tells them says which part it is.
    fn ask<T>(
        &self,
        arguments: &[String],
        wanted: &str,
        answer: impl Fn(&Message<'_>) -> Option<T>,
    ) -> Result<T> {
        let (running, _mark) = self.start(arguments, false)?;
        let mut talk = Talk::new(running, self.settings.silence_timeout)?;
        let (mut found, mut failure) = (None, None);
        loop {
            match talk.listen()? {
                Heard::Line(line) => self.take_answer(line.bytes, &answer, &mut found, &mut failure)?,
                Heard::Nothing if self.is_stopping() => return Err(Failure::cancelled()),
                Heard::Nothing => {}
                Heard::End => break,
            }
        }
        let ended = talk.conclude(self.settings.stop_timeout)?;
        match (found, failure, ended) {
            // An answer is one, however the process ends behind it.
            (Some(found), _, _) => Ok(found),
            (None, Some(failure), _) => Err(failure),
            (None, None, Some(ended)) => Err(ended),
            (None, None, None) => Err(Failure::permanent(format!("it ended without a {wanted} message"))),
        }
    }

    fn take_answer<T>(
        &self,
        line: &[u8],
        answer: &impl Fn(&Message<'_>) -> Option<T>,
        found: &mut Option<T>,
        failure: &mut Option<Failure>,
    ) -> Result<()> {
        let Ok(message) = message::parse(line) else {
            self.noise(line);
            return Ok(());
        };
        match &*message.kind {
            "LOG" => self.reporter.line(&self.of, &trace::log_text(message.log)),
            "TRACE" => {
                if let Trace::Error(error) = Trace::parse(message.trace) {
                    failure.get_or_insert(trace::failure_of(&error));
                }
            }
            "CONTROL" => self.control(message.control)?,
            _ => {
                if let Some(answer) = answer(&message) {
                    found.get_or_insert(answer);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn noise(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        if !text.trim().is_empty() {
            self.reporter.line(&self.of, &text);
        }
    }

    /// Who is told.
    pub(crate) fn reporter(&self) -> &Reporter {
        &self.reporter
    }
}

fn fingerprint(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

fn remember_changed(given: &Value, sent: &Value, reporter: &Reporter) {
    match (given, sent) {
        (given, sent) if given == sent => {}
        (Value::Object(given), Value::Object(sent)) => {
            for (name, value) in sent {
                remember_changed(given.get(name).unwrap_or(&Value::Null), value, reporter);
            }
        }
        (_, sent) => reporter.secrets().remember_all(sent),
    }
}

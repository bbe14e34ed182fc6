//! Where the configuration comes from: a file, below the environment, below flags.
//!
//! - All layers are read before anything is reported, so that one run shows every mistake.
//! - Warnings are for what works and should not be: secrets that everyone may read, variables that look like settings and are
//!   not, settings without an effect. They are told with an error too: often they are its cause.

mod environment;
pub(crate) mod inspect;

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use realtime_connector::config::{Config, ConfigError, Document, Origin};

use crate::args::SettingArgs;
use crate::failure::Failure;

/// Files looked for in the working directory.
const FILES: [&str; 2] = ["realtime.toml", "realtime.json"];
/// Bytes of a configuration file, or of a secret's file; far more than a person writes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What surrounds the program. Tests make their own.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    pub(crate) directory: PathBuf,
    pub(crate) variables: Vec<(OsString, OsString)>,
}

impl Surroundings {
    pub(crate) fn of_this_process() -> Self {
        Self { directory: PathBuf::new(), variables: std::env::vars_os().collect() }
    }
}

/// A configuration and how it came about.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    pub(crate) document: Document,
    pub(crate) warnings: Vec<String>,
    /// The file that was read.
    pub(crate) file: Option<String>,
}

/// Why there is no configuration.
#[derive(Debug)]
pub(crate) struct LoadError {
    pub(crate) reason: Reason,
    /// What was noticed besides.
    pub(crate) warnings: Vec<String>,
}

/// What is wrong.
#[derive(Debug)]
pub(crate) enum Reason {
    /// What is written.
    Config(ConfigError),
    /// Something cannot be read.
    Other(Box<Failure>),
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        let failure = match error.reason {
            Reason::Config(error) => Self::usage("config", error.to_string())
                .hint("`realtime-connector config explain KEY` tells about a key"),
            Reason::Other(failure) => *failure,
        };
        Self { warnings: error.warnings, ..failure }
    }
}

/// Reads all layers and checks what comes of them.
pub(crate) fn load(args: &SettingArgs, surroundings: &Surroundings) -> Result<Loaded, LoadError> {
    let mut warnings = Vec::new();
    match read(args, surroundings, &mut warnings) {
        Ok((file, document, config)) => {
            warnings.extend(without_effect(&config));
            Ok(Loaded { config, document, warnings, file })
        }
        Err(reason) => Err(LoadError { reason, warnings }),
    }
}

fn read(
    args: &SettingArgs,
    surroundings: &Surroundings,
    warnings: &mut Vec<String>,
) -> Result<(Option<String>, Document, Config), Reason> {
    let (file, below) = read_file(args, surroundings, warnings).map_err(|failure| Reason::Other(Box::new(failure)))?;
    let variables = environment::read(surroundings, warnings);
    let mut document = Document::default();
    let merged = [below, variables, read_flags(args)].map(|layer| layer.map(|layer| document.merge(layer)));
    // A layer that could not be read would only cause contradictions that are none.
    ConfigError::gather(merged).map_err(Reason::Config)?;
    let config = document.resolve().map_err(Reason::Config)?;
    Ok((file, document, config))
}

/// Settings that are valid and do nothing here.
fn without_effect(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    if config.auth.cookie.is_some() {
        warnings.push(
            "`auth.cookie` has no effect: only an application that embeds the server, with an authenticator of its own, \
             reads it"
                .to_owned(),
        );
    }
    if let (Some(port), Some(listen)) = (config.providers.websocket.port, config.listen)
        && port != listen.port()
    {
        warnings.push(format!(
            "`providers.websocket.port` ({port}) has no effect, because `listen` says {listen}; one port serves everything"
        ));
    }
    warnings
}

type Layer = Result<Document, ConfigError>;

fn read_file(
    args: &SettingArgs,
    surroundings: &Surroundings,
    warnings: &mut Vec<String>,
) -> Result<(Option<String>, Layer), Failure> {
    let Some(name) = find_file(args, surroundings)? else { return Ok((None, Ok(Document::default()))) };
    let path = surroundings.directory.join(&name);
    let shown = name.display().to_string();
    let text = read_text(&path).map_err(|error| {
        Failure::usage("config", format!("cannot read the configuration file {shown}: {error}"))
            .hint("`realtime-connector config default > realtime.toml` writes one to begin with")
    })?;
    let layer = if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")) {
        Document::from_json(&text, Some(&shown))
    } else {
        Document::from_toml(&text, Some(&shown))
    };
    if layer.as_ref().is_ok_and(has_secret) && is_open_to_all(&path) {
        warnings
            .push(format!("{shown} holds an API key, and every user of this machine may read it: chmod 600 {shown}"));
    }
    Ok((Some(shown), layer))
}

fn find_file(args: &SettingArgs, surroundings: &Surroundings) -> Result<Option<PathBuf>, Failure> {
    if let Some(path) = &args.config {
        return Ok(Some(path.clone()));
    }
    let mut present = FILES.iter().filter(|name| surroundings.directory.join(name).is_file());
    match (present.next(), present.next()) {
        (Some(_), Some(_)) => {
            let both = FILES.join(" and ");
            Err(Failure::usage("config", format!("both {both} are here")).hint("remove one, or name one with --config"))
        }
        (first, _) => Ok(first.map(PathBuf::from)),
    }
}

fn read_flags(args: &SettingArgs) -> Layer {
    let mut layer = Document::default();
    let mut results = Vec::new();
    for assignment in &args.set {
        // Without '=' the value is missing, and the check of the key says what it must be.
        let (key, value) = assignment.split_once('=').unwrap_or((assignment, ""));
        results.push(layer.set(key.trim(), value, Origin::Flag(format!("--set {}", key.trim()))));
    }
    let dev = args.dev.then(|| "true".to_owned());
    let named = [
        ("listen", "--listen", &args.listen),
        ("auth.dev", "--dev", &dev),
        ("provider", "--provider", &args.provider),
        ("workers", "--workers", &args.workers),
        ("store.path", "--store", &args.store),
    ];
    for (key, flag, value) in named {
        if let Some(value) = value {
            results.push(layer.set(key, value, Origin::Flag(flag.to_owned())));
        }
    }
    for key in &args.api_keys {
        results.push(layer.push("auth.apiKeys[].key", key, Origin::Flag("--api-key".to_owned())));
    }
    ConfigError::gather(results).map(|()| layer)
}

/// Whether a document holds a secret.
fn has_secret(document: &Document) -> bool {
    use realtime_connector::config::{Kind, find};
    document.values().iter().any(|(path, _)| find(path).is_some_and(|key| key.kind == Kind::Secret))
}

/// Reads a file of bounded size.
pub(crate) fn read_text(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(std::io::Error::other("it has more than 1 MiB"));
    }
    Ok(text)
}

/// Whether every user of the machine may read a file.
#[cfg(unix)]
fn is_open_to_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

/// Other systems have no such bit to look at.
#[cfg(not(unix))]
fn is_open_to_all(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests;

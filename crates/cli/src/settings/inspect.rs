//! `config check`, `config default` and `config explain`: the configuration in words.

use std::io::Write;

use realtime_connector::config::{self, Config, ConfigError, Document, Key, Origin, reference};
use serde_json::{Value, json};

use super::{LoadError, Loaded, Reason, Surroundings, load};
use crate::args::{ConfigCommand, SettingArgs};
use crate::failure::{EXIT_USAGE, Failure};
use crate::output::table;

/// Runs one of them; the exit code.
pub(crate) fn run(command: &ConfigCommand, around: &Surroundings, out: &mut impl Write) -> Result<u8, Failure> {
    match command {
        ConfigCommand::Check { json, settings } => check(settings, *json, around, out),
        ConfigCommand::Default { json: false } => {
            out.write_all(reference::default_toml().as_bytes())?;
            Ok(0)
        }
        ConfigCommand::Default { json: true } => {
            writeln!(out, "{:#}", serde_json::to_value(Config::default()).map_err(std::io::Error::from)?)?;
            Ok(0)
        }
        ConfigCommand::Explain { key: None, json, .. } => list(*json, out),
        ConfigCommand::Explain { key: Some(key), json, settings } => explain(key, settings, *json, around, out),
    }
}

fn check(settings: &SettingArgs, json: bool, around: &Surroundings, out: &mut impl Write) -> Result<u8, Failure> {
    match load(settings, around) {
        Ok(loaded) if json => {
            let Loaded { config, warnings, file, .. } = &loaded;
            let answer = json!({ "valid": true, "file": file, "warnings": warnings, "problems": [], "config": config });
            writeln!(out, "{answer:#}")?;
            Ok(0)
        }
        Ok(loaded) => {
            out.write_all(summary(&loaded).as_bytes())?;
            Ok(0)
        }
        Err(LoadError { reason: Reason::Config(error), warnings }) if json => {
            let answer = json!({ "valid": false, "warnings": warnings, "problems": problems(&error) });
            writeln!(out, "{answer:#}")?;
            Ok(EXIT_USAGE)
        }
        Err(error) => Err(error.into()),
    }
}

/// What a valid configuration amounts to: where, for whom, and what differs from the default.
fn summary(loaded: &Loaded) -> String {
    let Loaded { config, document, warnings, file } = loaded;
    let mut text = format!("The configuration is valid ({}).\n", file.as_deref().unwrap_or("no file"));
    for warning in warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    let state = match (config.enabled, config.dev_mode()) {
        (false, _) => "switched off",
        (true, true) => "in dev mode: no authentication, everything allowed, loopback only",
        (true, false) => "with authentication",
    };
    text.push_str(&format!("It would listen on {}, {state}.\n", config.listen_address()));
    let rows: Vec<_> = document.values().into_iter().map(|(path, origin)| row(config, &path, origin)).collect();
    if rows.is_empty() {
        text.push_str("Everything is as by default.\n");
    } else {
        text.push_str(&format!("\n{}", table(&rows)));
    }
    text
}

fn row(config: &Config, path: &str, origin: Option<&Origin>) -> Vec<String> {
    let origin = origin.map(ToString::to_string).unwrap_or_default();
    vec![path.to_owned(), value_at(config, path).unwrap_or_default(), origin]
}

/// A value as JSON; secrets are `"***"`.
fn value_at(config: &Config, path: &str) -> Option<String> {
    let value = serde_json::to_value(config).ok()?;
    let pointer = format!("/{}", path.replace(['.', '['], "/").replace(']', ""));
    value.pointer(&pointer).map(Value::to_string)
}

fn problems(error: &ConfigError) -> Vec<Value> {
    let place = |origin: &Origin| match origin {
        Origin::Text { file, line, column } => json!({ "file": file, "line": line, "column": column }),
        Origin::Variable(name) => json!({ "variable": name }),
        Origin::Flag(flag) => json!({ "flag": flag }),
    };
    let problem = |problem: &config::Problem| {
        json!({
            "key": problem.key,
            "source": problem.origin.as_ref().map(place),
            "message": problem.to_string(),
        })
    };
    error.problems().iter().map(problem).collect()
}

fn list(json: bool, out: &mut impl Write) -> Result<u8, Failure> {
    let keys: Vec<_> = config::keys().filter(|key| !key.is_section()).collect();
    if json {
        let described: Vec<_> = keys.iter().map(|key| description(key)).collect();
        writeln!(out, "{:#}", Value::from(described))?;
    } else {
        out.write_all(overview(&keys).as_bytes())?;
    }
    Ok(0)
}

fn overview(keys: &[&Key]) -> String {
    let first_sentence = |key: &Key| key.doc().replace('\n', " ").split_inclusive(". ").next().unwrap_or("").to_owned();
    let default = |key: &Key| reference::default_of(key).unwrap_or_else(|| "-".to_owned());
    let rows =
        keys.iter().map(|key| vec![key.path.to_owned(), default(key), first_sentence(key).trim_end().to_owned()]);
    table(&rows.collect::<Vec<_>>())
}

fn description(key: &Key) -> Value {
    json!({
        "key": key.path,
        "doc": key.doc(),
        "mustBe": key.kind.describe(),
        "default": reference::default_of(key).and_then(|text| serde_json::from_str::<Value>(&text).ok()),
        "variable": key.variable(),
    })
}

fn explain(
    path: &str,
    settings: &SettingArgs,
    json: bool,
    around: &Surroundings,
    out: &mut impl Write,
) -> Result<u8, Failure> {
    let path = path.strip_prefix("realtime.").unwrap_or(path);
    // `rules.pattern` is how a person says `rules[].pattern`.
    let same = |key: &&Key| key.path == config::without_indices(path) || key.path.replace("[]", "") == path;
    let Some(key) = config::keys().find(same) else { return Err(unknown(path)) };
    // A configuration that cannot be read is no reason not to explain; there is only no current value then.
    let loaded = load(settings, around).ok();
    let current = loaded.as_ref().and_then(|loaded| current(&loaded.config, &loaded.document, key, path));
    if json {
        let mut answer = description(key);
        if let (false, Some((value, origin))) = (key.is_section(), &current) {
            answer["now"] = serde_json::from_str(value).unwrap_or_default();
            answer["source"] = origin.clone().into();
        }
        writeln!(out, "{answer:#}")?;
        return Ok(0);
    }
    let indented: String = key.doc().lines().map(|line| format!("  {line}").trim_end().to_owned() + "\n").collect();
    writeln!(out, "{}\n\n{indented}", key.path)?;
    if key.is_section() {
        let prefix = key.path.to_owned();
        let below: Vec<_> = config::keys()
            .filter(|key| !key.is_section() && key.path.starts_with(&prefix) && key.path.len() > prefix.len())
            .collect();
        out.write_all(overview(&below).as_bytes())?;
        return Ok(0);
    }
    let mut rows = vec![vec!["  must be".to_owned(), key.kind.describe()]];
    rows.extend(reference::default_of(key).map(|default| vec!["  default".to_owned(), default]));
    rows.extend(key.example.map(|example| vec!["  example".to_owned(), example.to_owned()]));
    rows.extend(current.map(|(value, origin)| vec!["  now".to_owned(), format!("{value} ({origin})")]));
    rows.push(vec!["  variable".to_owned(), key.variable()]);
    rows.push(vec!["  flag".to_owned(), format!("--set {}=VALUE", key.path.replace("[]", "[0]"))]);
    out.write_all(table(&rows).as_bytes())?;
    Ok(0)
}

/// The value of a key now, and where it comes from. Elements of a list need an index.
fn current(config: &Config, document: &Document, key: &Key, path: &str) -> Option<(String, String)> {
    let path = if key.path.contains("[]") { path } else { key.path };
    let value = value_at(config, path)?;
    Some((value, document.origin(path).map_or_else(|| "by default".to_owned(), ToString::to_string)))
}

fn unknown(path: &str) -> Failure {
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
    let failure = Failure::usage("config", format!("unknown key `{path}`"));
    match config::nearest(parent, name) {
        Some(nearest) if nearest.contains('.') || parent.is_empty() => {
            failure.hint(format!("did you mean `{nearest}`?"))
        }
        Some(nearest) => failure.hint(format!("did you mean `{parent}.{nearest}`?")),
        None => failure.hint("`realtime-connector config explain` lists all keys"),
    }
}

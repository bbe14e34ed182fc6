//! Scripts of layers: files, variables and flags that are given, and what comes of them.

use super::*;

use clap::Parser;

use crate::args::{Cli, Command, ConfigCommand};

/// An API key that is strong enough, and one that is not the same.
const KEY: &str = "0123456789abcdef0123456789abcdef";
const OTHER_KEY: &str = "fedcba9876543210fedcba9876543210";

/// A directory of its own for one test, removed at the end.
struct Place {
    directory: PathBuf,
    variables: Vec<(OsString, OsString)>,
}

impl Place {
    fn new(test: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("realtime-settings-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a temporary directory");
        Self { directory, variables: Vec::new() }
    }

    fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.directory.join(name), text).expect("a temporary file");
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    fn surroundings(&self) -> Surroundings {
        Surroundings { directory: self.directory.clone(), variables: self.variables.clone() }
    }

    fn load(&self, flags: &str) -> Result<Loaded, Failure> {
        let words = std::iter::once("realtime-connector").chain(flags.split_whitespace());
        load(&Cli::parse_from(words).serve, &self.surroundings()).map_err(Failure::from)
    }

    #[track_caller]
    fn config(&self, flags: &str) -> Config {
        self.load(flags).map_err(|failure| failure.message).expect("valid").config
    }

    #[track_caller]
    fn refused(&self, flags: &str, expected: &str) {
        let failure = self.load(flags).expect_err("refused");
        assert_eq!((failure.exit, failure.message.as_str()), (2, expected));
    }

    /// What a `config` command prints, and its exit code.
    fn inspect(&self, words: &str) -> (u8, String) {
        let words = ["realtime-connector", "config"].into_iter().chain(words.split_whitespace());
        let Some(Command::Config(args)) = Cli::parse_from(words).command else { panic!("a config command") };
        let mut out = Vec::new();
        let exit = inspect::run(&args.command, &self.surroundings(), &mut out);
        let exit = exit.unwrap_or_else(|failure| {
            out.extend_from_slice(format!("{} | {:?}", failure.message, failure.hint).as_bytes());
            failure.exit
        });
        (exit, String::from_utf8(out).expect("text"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

#[test]
fn without_anything_it_is_the_default() {
    let place = Place::new("nothing");
    assert_eq!(place.config(""), Config::default());
    assert_eq!(place.load("").expect("valid").file, None);
}

#[test]
fn a_file_is_below_the_environment_and_that_below_flags() {
    let place = Place::new("layers")
        .file("realtime.toml", "listen = '127.0.0.1:1'\nworkers = 1\nprovider = 'sse'\nlog.level = 'warn'")
        .variable("REALTIME__LISTEN", "127.0.0.1:2")
        .variable("REALTIME__WORKERS", "2");
    let config = place.config("--workers 3");
    assert_eq!((config.listen_address().port(), config.workers), (2, 3));
    assert_eq!(
        (config.provider.to_string().as_str(), config.log.level),
        ("sse", realtime_connector::config::LogLevel::Warn)
    );
    let loaded = place.load("--workers 3").expect("valid");
    let origin = |key| loaded.document.origin(key).expect("set").to_string();
    assert_eq!(origin("workers"), "flag --workers");
    assert_eq!(origin("listen"), "environment variable REALTIME__LISTEN");
    assert_eq!(origin("provider"), "realtime.toml:3:12");
}

#[test]
fn a_flag_names_the_folder_of_the_store() {
    let place = Place::new("store").file("realtime.toml", "store.path = 'elsewhere'");
    assert_eq!(place.config("--store data").store.path.as_deref(), Some("data"));
}

#[test]
fn json_is_read_by_its_name_and_the_documents_form_is_accepted() {
    let document = r#"{"realtime":{"enabled":true,"provider":"sse","providers":{"sse":{"heartbeatInterval":30000},"websocket":{"port":8080,"path":"/ws"}}}}"#;
    let found = Place::new("json").file("realtime.json", document);
    assert_eq!(found.config(""), Config::from_json(document).expect("valid"));
    let named = Place::new("named").file("other.JSON", document);
    assert_eq!(named.config("--config other.JSON"), found.config(""));
}

#[test]
fn a_file_must_be_there_and_only_one() {
    Place::new("missing").refused(
        "--config nothing.toml",
        "cannot read the configuration file nothing.toml: No such file or directory (os error 2)",
    );
    let both = Place::new("both").file("realtime.toml", "").file("realtime.json", "{}");
    both.refused("", "both realtime.toml and realtime.json are here");
    assert_eq!(both.config("--config realtime.toml"), Config::default());
}

#[test]
fn names_of_variables_follow_the_keys() {
    let place = Place::new("names")
        .variable("REALTIME__PROVIDERS__SSE__HEARTBEAT_INTERVAL", "45s")
        .variable("REALTIME__PROVIDERS__WEBSOCKET__HEARTBEATINTERVAL", "1000")
        .variable("REALTIME__CORS__ALLOWED_ORIGINS", "https://a.example, https://b.example")
        .variable("REALTIME__RULES__0__PATTERN", "chat:*")
        .variable("REALTIME__RULES__0__HISTORY__MESSAGES", "5")
        .variable("REALTIME__RULES__1", "ignored by nobody")
        .variable("OTHER", "x");
    let without = Place {
        variables: place.variables.iter().filter(|(name, _)| name != "REALTIME__RULES__1").cloned().collect(),
        directory: PathBuf::new(),
    };
    let config = without.config("");
    assert_eq!(config.providers.sse.heartbeat_interval.as_secs(), 45);
    assert_eq!(config.providers.websocket.heartbeat_interval.as_secs(), 1);
    assert_eq!(config.cors.allowed_origins, ["https://a.example", "https://b.example"]);
    assert_eq!(config.rules[0].history_within(&config.history).map(|history| history.messages), Some(5));
    place.refused(
        "",
        "unknown key `rules[1]` (environment variable REALTIME__RULES__1): did you mean `REALTIME__RULES`?",
    );
}

#[test]
fn elements_are_set_in_the_order_of_their_numbers() {
    let mut place = Place::new("order");
    for index in (0..12).rev() {
        place = place.variable(&format!("REALTIME__RULES__{index}__PATTERN"), &format!("p{index}"));
    }
    let patterns: Vec<_> = place.config("").rules.into_iter().map(|rule| rule.pattern).collect();
    assert_eq!(patterns, (0..12).map(|index| format!("p{index}")).collect::<Vec<_>>());
    Place::new("hole").variable("REALTIME__RULES__1__PATTERN", "a").refused(
        "",
        "`rules[1].pattern` must be numbered without a gap: the next one is [0] (environment variable \
         REALTIME__RULES__1__PATTERN)",
    );
}

#[test]
fn a_wrong_variable_is_named_with_the_nearest_one() {
    Place::new("unknown").variable("REALTIME__PROVIDERS__SSE__HARTBEAT_INTERVAL", "1").refused(
        "",
        "unknown key `providers.sse.hartbeatInterval` (environment variable \
         REALTIME__PROVIDERS__SSE__HARTBEAT_INTERVAL): did you mean `REALTIME__PROVIDERS__SSE__HEARTBEAT_INTERVAL`?",
    );
    Place::new("value")
        .variable("REALTIME__ENABLED", "yes")
        .refused("", "`enabled` must be true or false, not \"yes\" (environment variable REALTIME__ENABLED)");
    Place::new("elsewhere").variable("REALTIME__PORT", "1").refused(
        "",
        "unknown key `port` (environment variable REALTIME__PORT): did you mean `REALTIME__PROVIDERS__WEBSOCKET__PORT`?",
    );
}

#[test]
fn mistakes_of_all_layers_are_shown_together() {
    let place =
        Place::new("together").file("realtime.toml", "wrokers = 1\nwrokers = 2").variable("REALTIME__LISTN", "x");
    place.refused(
        "--set log.leve=info --set workers=1 --workers 2",
        "duplicate key `wrokers` (realtime.toml:2:1): it is set twice, and only one counts\n\
         unknown key `listn` (environment variable REALTIME__LISTN): did you mean `REALTIME__LISTEN`?\n\
         unknown key `log.leve` (flag --set log.leve): did you mean `level`?\n\
         duplicate key `workers` (flag --workers): it is set twice, and only one counts",
    );
    let place = Place::new("values").file("realtime.toml", "wrokers = 1").variable("REALTIME__WORKERS", "x");
    place.refused(
        "--listen nowhere",
        "unknown key `wrokers` (realtime.toml:1:1): did you mean `workers`?\n\
         `workers` must be a whole number from 0 to 64, not \"x\" (environment variable REALTIME__WORKERS)\n\
         `listen` must be an IP address and a port, as in \"127.0.0.1:8080\" or \"[::]:8080\", not \"nowhere\" (flag \
         --listen)",
    );
}

#[test]
fn a_contradiction_between_layers_names_the_layer_to_change() {
    let place = Place::new("contradiction").file("realtime.toml", "providers.sse.enabled = false");
    place.refused(
        "--provider sse",
        "`provider` (flag --provider): clients would be told to use sse, which `providers.sse.enabled` switches off",
    );
    place.refused(
        "--listen 0.0.0.0:8080",
        "`listen` (flag --listen): 0.0.0.0:8080 can be reached from other machines, but no authentication is \
         configured; set an API key (`--api-key \"$(openssl rand -hex 32)\"`, or `auth.apiKeys` in the file), and \
         `auth.anonymous = true` if anyone may connect; or listen on 127.0.0.1:8080",
    );
    assert!(!place.config(&format!("--listen 0.0.0.0:8080 --api-key {KEY}")).dev_mode());
}

#[test]
fn flags_reach_every_key() {
    let place = Place::new("flags").file("realtime.toml", &format!("auth.apiKeys = [{{ key = '{KEY}' }}]"));
    let flags = format!("--dev --set history.age=1h --set realtime.log.format=json --api-key {OTHER_KEY}");
    let config = place.config(&flags);
    assert!(config.dev_mode() && config.auth.dev);
    assert_eq!(config.history.age.as_secs(), 3_600);
    let keys: Vec<_> = config.auth.api_keys.iter().map(|key| key.key.reveal()).collect();
    assert_eq!(keys, [OTHER_KEY], "a list replaces the list below");
    let both = place.config(&format!("--api-key {OTHER_KEY} --api-key {KEY}"));
    assert_eq!(both.auth.api_keys.len(), 2);
}

#[test]
fn a_secret_may_be_in_a_file_of_its_own() {
    let place = Place::new("secret")
        .file("key", &format!("{KEY}\n"))
        .variable("REALTIME__AUTH__API_KEYS__0__KEY_FILE", "key")
        .variable("REALTIME__AUTH__API_KEYS__0__NAME", "orders");
    let config = place.config("");
    assert_eq!(config.auth.api_keys[0].key.reveal(), KEY);
    place.variable("REALTIME__AUTH__API_KEYS__0__KEY", KEY).refused(
        "",
        "duplicate key `auth.apiKeys[0].key` (environment variable REALTIME__AUTH__API_KEYS__0__KEY_FILE): it is set \
         twice, and only one counts",
    );
    Place::new("secret-missing").variable("REALTIME__AUTH__API_KEYS__0__KEY_FILE", "none").refused(
        "",
        "`auth.apiKeys[0].key` must be in the file \"none\": No such file or directory (os error 2) (environment \
         variable REALTIME__AUTH__API_KEYS__0__KEY_FILE)",
    );
}

#[cfg(unix)]
#[test]
fn a_secret_that_everyone_may_read_is_warned_about() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new("open").file("realtime.toml", &format!("auth.apiKeys = [{{ key = '{KEY}' }}]"));
    let mode = |mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(place.directory.join("realtime.toml"), permissions).expect("my own file");
        place.load("").expect("valid").warnings
    };
    let warning = "realtime.toml holds an API key, and every user of this machine may read it: chmod 600 realtime.toml";
    assert_eq!(mode(0o644), [warning]);
    assert!(mode(0o640).is_empty());
}

#[test]
fn a_variable_that_only_looks_like_a_setting_is_warned_about() {
    let place = Place::new("lookalike")
        .variable("REALTIME_LOG_LEVEL", "debug")
        .variable("REALTIME_AUTH_API_KEYS_3_KEY_FILE", "key")
        .variable("REALTIME_URL", "http://localhost")
        .variable("REALTIME_OTHER", "x");
    assert_eq!(
        place.load("").expect("valid").warnings,
        [
            "the environment variable REALTIME_LOG_LEVEL has no effect: did you mean REALTIME__LOG__LEVEL?",
            "the environment variable REALTIME_AUTH_API_KEYS_3_KEY_FILE has no effect: did you mean \
             REALTIME__AUTH__API_KEYS__3__KEY_FILE?",
        ]
    );
}

/// The variable that was meant to allow it was ignored, and the refusal did not say so.
#[test]
fn warnings_are_told_with_an_error_too() {
    let place = Place::new("warned").variable("REALTIME_AUTH_ANONYMOUS", "true");
    let expected =
        "the environment variable REALTIME_AUTH_ANONYMOUS has no effect: did you mean REALTIME__AUTH__ANONYMOUS?";
    let failure = place.load("--listen 0.0.0.0:80").expect_err("refused");
    assert_eq!((failure.warnings, failure.exit), (vec![expected.to_owned()], 2));
    let (exit, text) = place.inspect("check --json --listen 0.0.0.0:80");
    let answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((exit, &answer["warnings"]), (2, &serde_json::json!([expected])));
}

#[test]
fn settings_without_an_effect_are_warned_about() {
    let warnings = |text: &str| {
        let place = Place::new("no-effect").file("realtime.toml", text);
        place.load("").expect("valid").warnings
    };
    let [cookie, port] = &warnings("listen = '127.0.0.1:80'\nauth.cookie = 'a'\nproviders.websocket.port = 81")[..]
    else {
        panic!("two warnings")
    };
    assert!(cookie.starts_with("`auth.cookie` has no effect"), "{cookie}");
    assert!(
        port.starts_with("`providers.websocket.port` (81) has no effect, because `listen` says 127.0.0.1:80"),
        "{port}"
    );
    assert!(warnings("listen = '127.0.0.1:80'\nproviders.websocket.port = 80").is_empty());
    assert!(warnings("providers.websocket.port = 81").is_empty());
}

#[test]
fn check_says_what_differs_and_where_it_comes_from() {
    let place = Place::new("check")
        .file("realtime.toml", &format!("auth.apiKeys = [{{ key = '{KEY}', name = 'orders' }}]"))
        .variable("REALTIME__PROVIDERS__SSE__HEARTBEAT_INTERVAL", "30000");
    let (exit, text) = place.inspect("check --config realtime.toml --listen 0.0.0.0:80");
    let text: Vec<_> = text.lines().filter(|line| !line.starts_with("warning: ")).collect();
    assert_eq!(exit, 0);
    assert_eq!(
        text,
        [
            "The configuration is valid (realtime.toml).",
            "It would listen on 0.0.0.0:80, with authentication.",
            "",
            "auth.apiKeys[0].key              \"***\"         realtime.toml:1:25",
            "auth.apiKeys[0].name             \"orders\"      realtime.toml:1:68",
            "providers.sse.heartbeatInterval  \"30s\"         environment variable REALTIME__PROVIDERS__SSE__HEARTBEAT_INTERVAL",
            "listen                           \"0.0.0.0:80\"  flag --listen",
        ]
    );
    let (exit, text) = place.inspect("check --json --workers 99");
    let mut answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert!(answer["warnings"].take().is_array(), "whoever runs the tests chooses who may read their files");
    assert_eq!(exit, 2);
    assert_eq!(
        answer,
        serde_json::json!({ "valid": false, "warnings": null, "problems": [{
            "key": "workers",
            "source": { "flag": "--workers" },
            "message": "`workers` must be a whole number from 0 to 64, not 99 (flag --workers)",
        }] })
    );
    let (exit, text) = place.inspect("check --json");
    assert!(exit == 0 && text.contains("\"valid\": true") && !text.contains(KEY), "{text}");
}

#[test]
fn explain_tells_about_a_key_and_its_value() {
    let place = Place::new("explain").file("realtime.toml", "providers.sse.heartbeatInterval = 30000");
    let (exit, text) = place.inspect("explain providers.sse.heartbeatInterval");
    assert_eq!(exit, 0);
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "providers.sse.heartbeatInterval",
            "",
            "  How often a silent stream gets a comment, as a time span.",
            "",
            "  The HTML standard advises 15 seconds or so: many proxies cut a connection that is silent for 30 to 60.",
            "",
            "  must be   a duration from 100ms to 10m, in milliseconds or as in \"30s\"",
            "  default   \"15s\"",
            "  now       \"30s\" (realtime.toml:1:35)",
            "  variable  REALTIME__PROVIDERS__SSE__HEARTBEAT_INTERVAL",
            "  flag      --set providers.sse.heartbeatInterval=VALUE",
        ]
    );
    let (_, text) = place.inspect("explain realtime.history.age");
    assert!(text.contains("  now       \"10m\" (by default)\n"), "{text}");
    let (_, text) = place.inspect("explain rules.pattern");
    assert!(text.starts_with("rules[].pattern\n"), "{text}");
    let (_, text) = place.inspect("explain shutdown");
    assert!(text.contains("\nshutdown.notReady  \"3s\""), "{text}");
    for (key, expected) in [
        (
            "providers.sse.hartbeat",
            "unknown key `providers.sse.hartbeat` | Some(\"`realtime-connector config explain` lists all keys\")",
        ),
        ("log.levle", "unknown key `log.levle` | Some(\"did you mean `log.level`?\")"),
        ("port", "unknown key `port` | Some(\"did you mean `providers.websocket.port`?\")"),
    ] {
        assert_eq!(place.inspect(&format!("explain {key}")), (2, expected.to_owned()));
    }
    let (exit, text) = place.inspect("explain");
    assert!(
        exit == 0 && text.lines().count() == realtime_connector::config::keys().filter(|key| !key.is_section()).count()
    );
}

#[test]
fn default_prints_a_file_that_is_the_default() {
    let place = Place::new("default");
    let (_, toml) = place.inspect("default");
    assert_eq!(Config::from_toml(&toml), Ok(Config::default()));
    let (_, json) = place.inspect("default --json");
    assert_eq!(Config::from_json(&json), Ok(Config::default()));
    let Some(Command::Config(args)) = Cli::parse_from(["realtime-connector", "config", "default"]).command else {
        panic!("a config command")
    };
    assert!(matches!(args.command, ConfigCommand::Default { json: false }));
}

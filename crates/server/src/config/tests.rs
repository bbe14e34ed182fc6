//! Scripts of reading and checking: what is given, and exactly what is said about it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;

/// The configuration of the document that this project answers, word for word.
const DOCUMENT: &str = r#"{"realtime":{"enabled":true,"provider":"sse","providers":{"sse":{"heartbeatInterval":30000},"websocket":{"port":8080,"path":"/ws"}}}}"#;

/// A key that is strong enough.
const KEY: &str = "0123456789abcdef0123456789abcdef";

/// Reads TOML without a name and checks it as the program does; the whole error text.
#[track_caller]
fn check_toml(text: &str, expected: &str) {
    let error = Document::from_toml(text, None).and_then(|document| document.resolve()).map(|_| "ok".to_owned());
    assert_eq!(error.unwrap_or_else(|error| error.to_string()), expected, "\n{text}");
}

/// The same for JSON, with a file name.
#[track_caller]
fn check_json(text: &str, expected: &str) {
    let document = Document::from_json(text, Some("realtime.json"));
    let error = document.and_then(|document| document.resolve()).map(|_| "ok".to_owned());
    assert_eq!(error.unwrap_or_else(|error| error.to_string()), expected, "\n{text}");
}

#[test]
fn the_documents_configuration_is_accepted_as_it_stands() {
    let config = Config::from_json(DOCUMENT).expect("valid");
    config.validate().expect("nothing contradicts");
    assert_eq!(config.provider, Provider::Sse);
    assert_eq!(config.providers.sse.heartbeat_interval, Duration::from_secs(30));
    assert_eq!(config.listen_address().to_string(), "127.0.0.1:8080");
    assert!(config.enabled && config.dev_mode());
    let mut expected = Config { provider: Provider::Sse, ..Config::default() };
    expected.providers.sse.heartbeat_interval = Duration::from_secs(30);
    expected.providers.websocket.port = Some(8080);
    assert_eq!(config, expected);
}

#[test]
fn json_and_toml_with_and_without_the_wrapper_say_the_same() {
    let inside = serde_json::from_str::<serde_json::Value>(DOCUMENT).expect("JSON")["realtime"].to_string();
    let wrapped = "[realtime]\nprovider = 'sse'\n[realtime.providers]\nsse.heartbeatInterval = '30s'\n\
                   websocket = { port = 8080, path = '/ws' }";
    let plain = wrapped.replace("[realtime]", "").replace("realtime.", "");
    let expected = Config::from_json(DOCUMENT).expect("valid");
    assert_eq!(Config::from_json(&inside), Ok(expected.clone()));
    assert_eq!(Config::from_toml(wrapped), Ok(expected.clone()));
    assert_eq!(Config::from_toml(&plain), Ok(expected));
    assert_eq!(Config::from_json("{}"), Ok(Config::default()));
    assert_eq!(Config::from_toml(""), Ok(Config::default()));
    assert_eq!(Config::from_json("\u{feff}{}"), Ok(Config::default()));
}

#[test]
fn listen_wins_over_the_port_of_websocket() {
    let address = |text| Config::from_toml(text).expect("valid").listen_address().to_string();
    assert_eq!(address(""), "127.0.0.1:8080");
    assert_eq!(address("providers.websocket.port = 9000"), "127.0.0.1:9000");
    assert_eq!(address("listen = '127.0.0.1:7000'\nproviders.websocket.port = 9000"), "127.0.0.1:7000");
    assert_eq!(address("listen = 'localhost:0'"), "127.0.0.1:0");
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_the_nearest_name() {
    check_toml(
        "[providers.sse]\npath = '/sse'\n\nhartbeatInterval = 1",
        "unknown key `providers.sse.hartbeatInterval` (line 4, column 1): did you mean `heartbeatInterval`?",
    );
    check_json(
        "{\n  \"providers\": {\"sse\": {\"heartbeat_interval\": 1}}\n}",
        "unknown key `providers.sse.heartbeat_interval` (realtime.json:2:25): did you mean `heartbeatInterval`?",
    );
    check_toml("port = 80", "unknown key `port` (line 1, column 1): did you mean `providers.websocket.port`?");
    check_toml(
        "[shutdown]\ngrace = 1",
        "unknown key `shutdown.grace` (line 2, column 1): valid here: deadline, notReady",
    );
    check_toml(
        "[[rules]]\npattern = 'a'\n[[rules]]\npatern = 'b'",
        "unknown key `rules[1].patern` (line 4, column 1): did you mean `pattern`?",
    );
}

#[test]
fn every_problem_is_reported_in_the_order_of_its_place() {
    check_toml(
        "lissten = 1\nworkers = 100\n[log]\nlevel = 'loud'\n[limits]\nmessageBytes = '64KB'",
        "unknown key `lissten` (line 1, column 1): did you mean `listen`?\n\
         `workers` must be a whole number from 0 to 64, not 100 (line 2, column 11)\n\
         `log.level` must be \"error\" or \"warn\" or \"info\" or \"debug\" or \"trace\", not \"loud\" (line 4, column 9)\n\
         `limits.messageBytes` must be a size from 1KiB to 1MiB, in bytes or as in \"64KiB\", not \"64KB\" \
         (line 6, column 16)",
    );
}

#[test]
fn a_value_of_the_wrong_type_or_out_of_bounds_says_what_it_must_be() {
    let duration = "`history.age` must be a duration from 1s to 7d, in milliseconds or as in \"30s\", not ";
    for (value, found) in [
        ("'8d'", "\"8d\""),
        ("999", "999"),
        ("'30'", "\"30\""),
        ("1.5", "1.5"),
        ("-1", "-1"),
        ("true", "true"),
        ("[1, 2]", "a list of 2"),
        ("{}", "a table"),
        ("1979-05-27", "1979-05-27"),
    ] {
        check_toml(&format!("history.age = {value}"), &format!("{duration}{found} (line 1, column 15)"));
    }
    check_json("{\"providers\": []}", "`providers` must be a table, not an empty list (realtime.json:1:15)");
    check_json("[]", "`realtime` must be a table, not an empty list (realtime.json:1:1)");
    check_json("{\"workers\": null}", "`workers` must be a whole number from 0 to 64, not null (realtime.json:1:13)");
    check_toml(
        "listen = ':8080'",
        "`listen` must be an IP address and a port, as in \"127.0.0.1:8080\" or \"[::]:8080\", not \":8080\" \
         (line 1, column 10)",
    );
    check_toml(
        "providers.sse.path = 'sse'",
        "`providers.sse.path` must be a path that begins with '/' and does not end with it, not \"sse\" \
         (line 1, column 22)",
    );
    check_toml(
        "cors.allowedOrigins = ['https://example.com/']",
        "`cors.allowedOrigins` must be a list of 0 to 256 origins such as \"https://example.com\" (no path, no '/' at \
         the end), not [\"https://example.com/\"] (line 1, column 23)",
    );
    check_toml(
        "rules = [{ pattern = 'a', history = true }]",
        "`rules[0].history` must be false or a table, not true (line 1, column 37)",
    );
}

#[test]
fn what_is_shown_of_a_value_cannot_command_a_terminal() {
    check_json(
        "{\"provider\": \"\\u001b[2J\\nx\"}",
        "`provider` must be \"websocket\" or \"sse\", not \"\\u{1b}[2J\\nx\" (realtime.json:1:14)",
    );
}

#[test]
fn text_that_is_not_toml_or_json_is_shown_with_its_place() {
    check_json("{\n\"workers\": 1,\n}", "not valid JSON (realtime.json:3:1): trailing comma");
    check_json("", "not valid JSON (realtime.json:1:1): EOF while parsing a value");
    check_json("{\"workers\" 1}", "not valid JSON (realtime.json:1:12): expected `:`");
    check_json("{} {}", "not valid JSON (realtime.json:1:4): trailing characters");
    check_json("{\"listen\": \"\\ud800\"}", "not valid JSON (realtime.json:1:19): unexpected end of hex escape");
    check_toml("a = ", "not valid TOML (line 1, column 5): string values must be quoted, expected literal string");
}

#[test]
fn a_duplicate_key_is_an_error() {
    check_json(
        "{\"log\": {\"level\": \"info\",\n\"level\": \"warn\"}}",
        "duplicate key `log.level` (realtime.json:2:1): it is set twice, and only one counts",
    );
    check_toml(
        "workers = 1\nworkers = 2",
        "duplicate key `workers` (line 2, column 1): it is set twice, and only one counts",
    );
}

#[test]
fn beside_realtime_there_is_no_other_key() {
    check_json(
        "{\"realtime\": {}, \"workers\": 1}",
        "unknown key `workers` (realtime.json:1:18): beside `realtime` there must be no other key; move it inside",
    );
}

#[test]
fn depth_has_a_bound() {
    let text = format!("{}{}{}", "{\"log\":".repeat(500), "1", "}".repeat(500));
    let error = Config::from_json(&text).expect_err("too deep");
    assert_eq!(error.problems().len(), 1, "{error}");
}

#[test]
fn a_secret_is_never_shown() {
    let config = Config::from_toml(&format!("auth.apiKeys = [{{ key = '{KEY}', name = 'a' }}]")).expect("valid");
    assert_eq!(config.auth.api_keys[0].key.reveal(), KEY);
    for shown in [format!("{config:?}"), serde_json::to_string(&config).expect("JSON")] {
        assert!(!shown.contains(KEY) && shown.contains("***"), "{shown}");
    }
    for text in [
        "auth.apiKeys = ['topsecret']",
        "auth.apiKeys = 'topsecret'",
        "auth.apiKeys = [{ key = ['topsecret'] }]",
        "auth.apiKeys = [{ key = 'topsecret' }]",
    ] {
        let error = Document::from_toml(text, None).and_then(|document| document.resolve()).expect_err(text);
        assert!(!format!("{error} {error:?}").contains("topsecret"), "{error:?}");
    }
}

#[test]
fn a_public_address_needs_authentication() {
    let refused = "can be reached from other machines, but no authentication is configured; set an API key \
                   (`--api-key \"$(openssl rand -hex 32)\"`, or `auth.apiKeys` in the file), and `auth.anonymous = true` \
                   if anyone may connect; or listen on 127.0.0.1:8080";
    check_toml("listen = '0.0.0.0:8080'", &format!("`listen` (line 1, column 10): 0.0.0.0:8080 {refused}"));
    check_toml("listen = '[::]:8080'", &format!("`listen` (line 1, column 10): [::]:8080 {refused}"));
    check_toml("listen = '[::1]:8080'", "ok");
    check_toml("listen = '127.1.2.3:8080'", "ok");
    check_toml(&format!("listen = '0.0.0.0:8080'\nauth.apiKeys = [{{ key = '{KEY}' }}]"), "ok");
    check_toml("listen = '0.0.0.0:8080'\nauth.anonymous = true", "ok");
    check_toml(
        &format!("listen = '0.0.0.0:80'\nauth.apiKeys = [{{ key = '{KEY}' }}]\nauth.dev = true"),
        "`listen` (line 1, column 10): dev mode allows everything and is for loopback only, but 0.0.0.0:80 can be \
         reached from other machines; leave dev mode, or listen on 127.0.0.1:80",
    );
}

#[test]
fn an_application_with_its_own_authenticator_may_listen_anywhere_but_not_in_dev_mode() {
    let mut config = Config { listen: Some("0.0.0.0:80".parse().expect("an address")), ..Config::default() };
    assert!(config.validate().is_err() && config.validate_embedded().is_ok());
    config.auth.dev = true;
    assert!(config.validate_embedded().is_err());
}

#[test]
fn providers_must_be_reachable() {
    check_toml(
        "providers = { sse = { enabled = false }, websocket = { enabled = false } }",
        "`providers` (line 1, column 13): both providers are switched off, so nobody could connect; enable one of them, \
         or set `enabled = false` for a server that is switched off",
    );
    check_toml(
        "provider = 'sse'\nproviders.sse.enabled = false",
        "`provider` (line 1, column 12): clients would be told to use sse, which `providers.sse.enabled` switches off",
    );
    check_toml(
        "providers.websocket.enabled = false",
        "`provider`: clients would be told to use websocket, which `providers.websocket.enabled` switches off",
    );
    check_toml(
        "providers.sse.path = '/ws'",
        "`providers.sse.path` (line 1, column 22): /ws is also the path of WebSocket; each provider needs its own",
    );
    check_toml(
        "providers.websocket.path = '/api/ws'",
        "`providers.websocket.path` (line 1, column 28): /api/ws belongs to the server itself (reserved: /api, /health, \
         /metrics, /playground)",
    );
    check_toml("providers.websocket.path = '/apis'", "ok");
    // Dev mode serves its page there, and two routes for one path end the process.
    for (path, outcome) in [("/playground", false), ("/playground/ws", false), ("/play", true)] {
        let config = Config::from_toml(&format!("providers.sse.path = '{path}'")).expect("a path");
        assert_eq!(config.validate().is_ok(), outcome, "{path}");
    }
}

#[test]
fn a_ring_holds_four_outboxes_and_an_outbox_a_message() {
    let four = "the history of a channel must hold at least four outboxes, or a slow reader could not be caught up: at";
    check_toml(
        "limits = { outboxRecords = 500, outboxBytes = '1MiB' }",
        &format!(
            "`history.messages`: {four} least 2000, because `limits.outboxRecords` is 500\n\
             `history.bytes`: {four} least 4MiB, because `limits.outboxBytes` is 1MiB"
        ),
    );
    check_toml(
        "limits.messageBytes = '512KiB'",
        "`limits.messageBytes` (line 1, column 23): a message of 512KiB does not fit into an outbox of 256KiB \
         (`limits.outboxBytes`)",
    );
    check_toml(
        "history.totalBytes = '1MiB'\n[[rules]]\npattern = 'a'\nhistory.bytes = '2MiB'",
        "`rules[0].history.bytes` (line 4, column 17): one channel may keep 2MiB, more than `history.totalBytes` (1MiB) \
         allows for all of them",
    );
}

#[test]
fn an_api_key_cannot_be_guessed() {
    let check = |key: &str, expected: &str| check_toml(&format!("auth.apiKeys = [{{ key = '{key}' }}]"), expected);
    let weak = |reason: &str| {
        format!(
            "`auth.apiKeys[0].key` (line 1, column 25): an API key needs at least 32 characters that nobody can guess, \
             and this one {reason}; `openssl rand -hex 32` makes one"
        )
    };
    check(KEY, "ok");
    check(&KEY[1..], &weak("has 31"));
    check("", &weak("has 0"));
    check(&"ab".repeat(20), &weak("has only 2 different ones"));
    let unusable = "`auth.apiKeys[0].key` (line 1, column 25): an API key has at most 256 characters, all visible ASCII; \
                    `openssl rand -hex 32` makes one";
    check(&KEY.repeat(9), unusable);
    check(&format!("{KEY} "), unusable);
    check_toml(
        &format!("[[auth.apiKeys]]\nkey = '{KEY}'\n[[auth.apiKeys]]\nkey = '{KEY}'"),
        "`auth.apiKeys[1].key` (line 4, column 7): the same key as `auth.apiKeys[0]`; remove one of them",
    );
    check_toml("[[auth.apiKeys]]\nname = 'a'", &weak("has 0").replace(" (line 1, column 25)", ""));
}

#[test]
fn a_rule_must_have_a_pattern_and_a_chance() {
    check_toml(
        "[[rules]]\npattern = 'chat:*'\n[[rules]]\npattern = 'chat:*'\n[[rules]]\npattern = 'chat:lobby'",
        "`rules[1].pattern` (line 4, column 11): this rule can never apply: `rules[0]` (\"chat:*\") matches the same \
         channels and comes first\n\
         `rules[2].pattern` (line 6, column 11): this rule can never apply: `rules[0]` (\"chat:*\") matches the same \
         channels and comes first",
    );
    check_toml(
        "[[rules]]\npattern = 'chat*'",
        "`rules[0].pattern` (line 2, column 11): \"chat*\": '*' must stand for a whole segment, as in 'chat:*'",
    );
    check_toml("[[rules]]\nevents = true", "`rules[0].pattern`: \"\": must not be empty");
}

#[test]
fn a_rule_inherits_what_it_leaves_open() {
    let config = Config::from_toml(
        "history.age = '1h'\n[[rules]]\npattern = 'a'\nhistory = { messages = 10 }\n[[rules]]\npattern = 'b'\n\
         history = false\n[[rules]]\npattern = 'c'",
    )
    .expect("valid");
    let histories: Vec<_> = config.rules.iter().map(|rule| rule.history_within(&config.history)).collect();
    let expected = History { messages: 10, age: Duration::from_secs(3600), ..History::default() };
    assert_eq!(histories, [Some(expected), None, Some(config.history)]);
}

#[test]
fn the_rest_that_contradicts() {
    check_toml(
        "auth.cookie = 'token'\ncors.allowedOrigins = ['*']",
        "`cors.allowedOrigins` (line 2, column 23): \"*\" together with `auth.cookie` would let any page act in the name \
         of its visitor; list the origins of your own pages",
    );
    check_toml(
        "shutdown.deadline = '1s'",
        "`shutdown.deadline` (line 1, column 21): stopping may take 1s in all, but `shutdown.notReady` alone takes 3s",
    );
}

#[test]
fn a_struct_filled_by_code_is_checked_like_a_file() {
    let mut config = Config { workers: 65, ..Config::default() };
    config.limits.message_bytes = 10;
    config.auth.api_keys = vec![ApiKey { key: "short".into(), name: Some(String::new()) }];
    let error = config.validate().expect_err("out of bounds");
    assert_eq!(
        error.to_string(),
        "`auth.apiKeys[0].name` must be a name of 1 to 64 characters\n\
         `limits.messageBytes` must be a size from 1KiB to 1MiB, in bytes or as in \"64KiB\", not \"10B\"\n\
         `workers` must be a whole number from 0 to 64, not 65\n\
         `auth.apiKeys[0].key`: an API key needs at least 32 characters that nobody can guess, and this one has 5; \
         `openssl rand -hex 32` makes one"
    );
    assert!(Config::default().validate().is_ok());
}

#[test]
fn dev_mode_is_what_happens_without_authentication() {
    let dev = |text: &str| Config::from_toml(text).expect("valid").dev_mode();
    let key = format!("apiKeys = [{{ key = '{KEY}' }}]");
    assert!(dev("") && dev(&format!("[auth]\ndev = true\n{key}")));
    assert!(!dev(&format!("[auth]\n{key}")) && !dev("auth.anonymous = true"));
}

#[test]
fn layers_are_merged_key_by_key_and_remember_where_they_come_from() {
    let origin = |name: &str| Origin::Variable(name.to_owned());
    let file = "listen = '127.0.0.1:1'\ncors.allowedOrigins = ['https://a.example', 'https://b.example']\n\
                [log]\nlevel = 'warn'\nformat = 'json'";
    let mut document = Document::from_toml(file, Some("realtime.toml")).expect("valid");
    let mut variables = Document::default();
    variables.set("log.level", "debug", origin("A")).expect("a key");
    variables.set("cors.allowedOrigins", "https://c.example", origin("B")).expect("a key");
    variables.set("providers.sse.heartbeatInterval", "30000", origin("C")).expect("a key");
    variables.set("rules[0].pattern", "chat:*", origin("D")).expect("a key");
    variables.set("rules[0].history", "{\"messages\": 5}", origin("E")).expect("a key");
    document.merge(variables);
    let config = document.resolve().expect("valid");
    assert_eq!((config.log.level, config.log.format), (LogLevel::Debug, LogFormat::Json));
    assert_eq!(config.cors.allowed_origins, ["https://c.example"]);
    assert_eq!(config.providers.sse.heartbeat_interval, Duration::from_secs(30));
    assert_eq!(config.rules[0].history_within(&config.history).map(|history| history.messages), Some(5));
    let place = |(path, origin): (String, Option<&Origin>)| format!("{path} {}", origin.expect("each has one"));
    let values: Vec<_> = document.values().into_iter().map(place).collect();
    assert_eq!(
        values,
        [
            "cors.allowedOrigins environment variable B",
            "listen realtime.toml:1:10",
            "log.format realtime.toml:5:10",
            "log.level environment variable A",
            "providers.sse.heartbeatInterval environment variable C",
            "rules[0].pattern environment variable D",
            "rules[0].history.messages environment variable E",
        ]
    );
}

#[test]
fn text_is_read_as_what_its_key_expects() {
    /// What comes of setting one key from a flag: the error, or the configuration's JSON at that key.
    fn set(path: &str, text: &str) -> String {
        let mut document = Document::default();
        let set = document.set(path, text, Origin::Flag("--set".to_owned())).and_then(|()| document.read());
        let pointer = format!("/{}", path.replace(['.', '['], "/").replace(']', ""));
        set.map_or_else(
            |error| error.to_string(),
            |config| serde_json::to_value(config).expect("JSON").pointer(&pointer).expect(path).to_string(),
        )
    }
    let table = [
        ("enabled", "false", "false"),
        ("enabled", "no", "`enabled` must be true or false, not \"no\" (flag --set)"),
        ("workers", "4", "4"),
        ("workers", "x", "`workers` must be a whole number from 0 to 64, not \"x\" (flag --set)"),
        ("history.age", "90s", "\"90s\""),
        ("history.age", "90000", "\"90s\""),
        ("limits.outboxBytes", "1MiB", "\"1MiB\""),
        ("auth.apiKeys", "a, b", "[{\"key\":\"***\"},{\"key\":\"***\"}]"),
        ("auth.apiKeys[0].name", "123", "\"123\""),
        ("rules", "[{\"pattern\": \"a\"}]", "[{\"events\":false,\"latestPerKey\":false,\"pattern\":\"a\"}]"),
        ("rules", "[{\"patern\": \"a\"}]", "unknown key `rules[0].patern` (flag --set): did you mean `pattern`?"),
        ("rules", "[", "not valid JSON (flag --set): EOF while parsing a list"),
        ("rules", "chat", "`rules` must be a list of 0 to 1000 tables, not \"chat\" (flag --set)"),
        ("log.levle", "warn", "unknown key `log.levle` (flag --set): did you mean `level`?"),
        (
            "rules[1].pattern",
            "a",
            "`rules[1].pattern` must be numbered without a gap: the next one is [0] (flag --set)",
        ),
    ];
    for (path, text, expected) in table {
        assert_eq!(set(path, text), expected, "{path} = {text}");
    }
    let mut twice = Document::default();
    twice.set("realtime.log.level", "warn", Origin::Flag("--set".to_owned())).expect("a key");
    let error = twice.set("log.level", "info", Origin::Flag("--set".to_owned())).expect_err("twice");
    assert_eq!(error.to_string(), "duplicate key `log.level` (flag --set): it is set twice, and only one counts");
}

#[test]
fn the_names_of_fields_are_the_names_of_keys() {
    let mut config = Config::default();
    config.listen = Some(config.listen_address());
    config.providers.websocket.port = Some(1);
    config.auth.cookie = Some("c".to_owned());
    config.store.path = Some("data".to_owned());
    config.auth.api_keys = vec![ApiKey { key: KEY.into(), name: Some("n".to_owned()) }];
    let ring = RuleRing { messages: Some(1), bytes: Some(1024), age: Some(Duration::from_secs(1)) };
    let history = RuleHistory::Keep(ring);
    config.rules =
        vec![Rule { pattern: "a".to_owned(), events: true, persist: Some(false), history, ..Rule::default() }];
    let values = Document::from_config(&config);
    let paths: BTreeSet<_> = values.values().into_iter().map(|(path, _)| without_indices(&path)).collect();
    let expected: BTreeSet<_> = keys().filter(|key| !key.is_section()).map(|key| key.path.to_owned()).collect();
    assert_eq!(paths, expected);
    config.validate().expect("valid");
}

#[test]
fn the_default_file_is_the_default_and_its_examples_are_valid() {
    let text = reference::default_toml();
    assert_eq!(Config::from_toml(&text), Ok(Config::default()), "{text}");
    let uncommented: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(example) if !example.is_empty() && !example.starts_with(' ') => format!("{example}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let config = Config::from_toml(&uncommented).expect(&uncommented);
    assert_eq!((config.rules.len(), config.auth.api_keys.len()), (1, 1));
    assert_eq!(config.rules[0].history_within(&config.history).map(|history| history.messages), Some(100));
    for key in keys() {
        assert!(uncommented.contains(key.name()), "{} is missing", key.path);
    }
}

#[test]
fn the_page_about_the_configuration_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
    let expected = reference::markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &expected).expect("docs/ can be written");
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == expected, "docs/configuration.md is old: UPDATE_DOCS=1 cargo test -p realtime-connector config");
}

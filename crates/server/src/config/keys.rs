//! The list of all keys: what each one means, what it may be, and where it belongs.
//!
//! - A key is declared once, by `section!`: the field, its default, its bounds and its words in one place. The struct,
//!   its `Default`, the checks, `config default`, `config explain` and `docs/configuration.md` all come from it.
//! - Paths are camelCase and dotted. `[]` stands for any element of a list: `rules[].pattern`.

use std::collections::BTreeSet;

/// One key of the configuration.
#[derive(Debug)]
pub struct Key {
    /// Dotted path, with `[]` for the elements of a list.
    pub path: &'static str,
    /// What a value may be.
    pub kind: Kind,
    /// Lines of the description. The first paragraph is enough for a table.
    lines: &'static [&'static str],
    /// A value to show where there is no default, in TOML.
    pub example: Option<&'static str>,
}

/// What a value may be. Bounds are written as a person writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A table with keys of its own.
    Section,
    /// A list of tables with keys of their own.
    SectionList(&'static str, &'static str),
    /// `false`, or a table with keys of its own.
    FalseOrSection,
    /// `true` or `false`.
    Bool,
    /// A whole number within bounds.
    Integer(&'static str, &'static str),
    /// Bytes within bounds.
    Size(&'static str, &'static str),
    /// A time span within bounds.
    Duration(&'static str, &'static str),
    /// An IP address and a port.
    Address,
    /// A path of the server.
    Path,
    /// A folder of this machine.
    Folder,
    /// A list of origins.
    Origins(&'static str, &'static str),
    /// The name of a cookie.
    CookieName,
    /// A pattern of channel names.
    Pattern,
    /// A secret; it is never printed.
    Secret,
    /// A short name for people.
    Name,
    /// `websocket` or `sse`.
    Provider,
    /// `any` or `each`.
    InboxPolicy,
    /// How much is logged.
    LogLevel,
    /// How a log line looks.
    LogFormat,
}

impl Kind {
    /// The words it may be, if it is one of a few.
    #[must_use]
    pub fn choices(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Provider => Some(&["websocket", "sse"]),
            Self::InboxPolicy => Some(&["any", "each"]),
            Self::LogLevel => Some(&["error", "warn", "info", "debug", "trace"]),
            Self::LogFormat => Some(&["text", "json"]),
            Self::Section
            | Self::SectionList(..)
            | Self::FalseOrSection
            | Self::Bool
            | Self::Integer(..)
            | Self::Size(..)
            | Self::Duration(..)
            | Self::Address
            | Self::Path
            | Self::Folder
            | Self::Origins(..)
            | Self::CookieName
            | Self::Pattern
            | Self::Secret
            | Self::Name => None,
        }
    }

    /// What a value must be, as the end of "must be …".
    #[must_use]
    pub fn describe(self) -> String {
        if let Some(choices) = self.choices() {
            let quoted: Vec<_> = choices.iter().map(|choice| format!("\"{choice}\"")).collect();
            return quoted.join(" or ");
        }
        match self {
            Self::Section => "a table".to_owned(),
            Self::SectionList(min, max) => format!("a list of {min} to {max} tables"),
            Self::FalseOrSection => "false or a table".to_owned(),
            Self::Bool => "true or false".to_owned(),
            Self::Integer(min, max) => format!("a whole number from {min} to {max}"),
            Self::Size(min, max) => format!("a size from {min} to {max}, in bytes or as in \"64KiB\""),
            Self::Duration(min, max) => format!("a duration from {min} to {max}, in milliseconds or as in \"30s\""),
            Self::Address => "an IP address and a port, as in \"127.0.0.1:8080\" or \"[::]:8080\"".to_owned(),
            Self::Path => "a path such as \"/ws\"".to_owned(),
            Self::Folder => "the path of a folder such as \"data\"".to_owned(),
            Self::Origins(min, max) => {
                format!("a list of {min} to {max} origins such as \"https://example.com\" (no path, no '/' at the end)")
            }
            Self::CookieName => "the name of a cookie: letters, digits, '-' and '_', at most 64".to_owned(),
            Self::Pattern => "a pattern of channel names such as \"chat:*\"".to_owned(),
            Self::Secret => "a secret of at most 256 visible ASCII characters".to_owned(),
            Self::Name => "a name of 1 to 64 characters".to_owned(),
            Self::Provider | Self::InboxPolicy | Self::LogLevel | Self::LogFormat => unreachable!("these have choices"),
        }
    }
}

impl Key {
    /// Its own name: the last part of the path.
    #[must_use]
    pub fn name(&self) -> &'static str {
        last_segment(self.path)
    }

    /// The description, as paragraphs separated by an empty line.
    #[must_use]
    pub fn doc(&self) -> String {
        self.lines.iter().map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
    }

    /// The environment variable that sets it: `REALTIME__PROVIDERS__SSE__HEARTBEAT_INTERVAL`. For the elements of a
    /// list, that of the first one.
    #[must_use]
    pub fn variable(&self) -> String {
        let mut name = String::from("REALTIME__");
        for character in self.path.replace("[]", ".0").chars() {
            match character {
                '.' => name.push_str("__"),
                upper if upper.is_ascii_uppercase() => name.extend(['_', upper]),
                lower => name.push(lower.to_ascii_uppercase()),
            }
        }
        name
    }

    /// Whether it only groups other keys.
    #[must_use]
    pub fn is_section(&self) -> bool {
        matches!(self.kind, Kind::Section | Kind::SectionList(..) | Kind::FalseOrSection)
    }
}

/// All keys, each section after the plain keys of its parent.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    super::SECTIONS.iter().copied().flatten()
}

/// The key at a path; indices count as `[]`.
#[must_use]
pub fn find(path: &str) -> Option<&'static Key> {
    let pattern = without_indices(path);
    keys().find(|key| key.path == pattern)
}

/// The names directly below a path; the top level is the empty path. A list stands for its elements.
#[must_use]
pub fn children(path: &str) -> Vec<&'static Key> {
    let parent = without_indices(path);
    keys().filter(|key| parent_of(key.path) == parent).collect()
}

/// `rules[3].pattern` → `rules[].pattern`.
#[must_use]
pub fn without_indices(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    let mut inside = false;
    for character in path.chars() {
        match character {
            '[' => inside = true,
            ']' => inside = false,
            _ if inside => continue,
            _ => {}
        }
        pattern.push(character);
    }
    pattern
}

fn last_segment(path: &'static str) -> &'static str {
    path.rsplit_once('.').map_or(path, |(_, name)| name)
}

fn parent_of(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(parent, _)| parent)
}

/// The valid name that someone who wrote `name` below `parent` most likely meant: a sibling or, if no sibling is
/// close, the full path of a key elsewhere that has this very name.
#[must_use]
pub fn nearest(parent: &str, name: &str) -> Option<String> {
    let siblings = children(parent);
    let plain = plain(name);
    if let Some(same) = siblings.iter().find(|key| self::plain(key.name()) == plain) {
        return Some(same.name().to_owned());
    }
    let mut elsewhere = keys().filter(|key| self::plain(key.name()) == plain);
    if let (Some(only), None) = (elsewhere.next(), elsewhere.next()) {
        return Some(only.path.to_owned());
    }
    let distance = |key: &Key| strsim::damerau_levenshtein(&self::plain(key.name()), &plain);
    let closest = siblings.iter().min_by_key(|key| distance(key))?;
    // A third of the letters wrong is still a slip; more is another word.
    let tolerated = (plain.chars().count() / 3).max(1);
    (distance(closest) <= tolerated).then(|| closest.name().to_owned())
}

/// A name without the things that differ between spellings: `heartbeat_interval`, `heartbeat-interval`.
fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|character| character.to_ascii_lowercase()).collect()
}

/// The names valid below a path, for an error message.
pub(super) fn valid_names(parent: &str) -> Vec<&'static str> {
    children(parent).iter().map(|key| key.name()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Declares a section: the struct, its `Default`, and its keys.
///
/// A field is `pub name: Type = default, "camelCase" is Kind;`, with bounds as `Kind("min" to "max")` and, where the
/// default is "absent", an example in TOML behind `as in`. Bounds are added to the field's documentation.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        pub struct $name:ident at $prefix:literal {
            $(
                $(#[doc = $doc:literal])+
                $(#[serde($($serde:tt)+)])?
                pub $field:ident: $type:ty = $default:expr,
                    $key:literal is $kind:ident $(($min:literal to $max:literal))? $(as in $example:literal)?;
            )*
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, rename_all = "camelCase", deny_unknown_fields)]
        pub struct $name {
            $(
                $(#[doc = $doc])+
                $(#[doc = concat!("\nFrom ", $min, " to ", $max, ".")])?
                $(#[serde($($serde)+)])?
                pub $field: $type,
            )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default),* }
            }
        }

        impl $name {
            pub(super) const KEYS: &'static [$crate::config::keys::Key] = &[
                $($crate::config::keys::Key::new(
                    concat!($prefix, $key),
                    $crate::config::keys::Kind::$kind $(($min, $max))?,
                    &[$($doc),+],
                    &[$($example)?],
                )),*
            ];
        }
    };
}
pub(super) use section;

impl Key {
    /// Used by `section!`.
    pub(super) const fn new(
        path: &'static str,
        kind: Kind,
        lines: &'static [&'static str],
        examples: &'static [&'static str],
    ) -> Self {
        let example = if examples.is_empty() { None } else { Some(examples[0]) };
        Self { path, kind, lines, example }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_a_sibling_or_the_only_key_of_that_name() {
        let table = [
            ("providers.sse", "hartbeatInterval", Some("heartbeatInterval")),
            ("providers.sse", "heartbeat_interval", Some("heartbeatInterval")),
            ("providers.sse", "Path", Some("path")),
            ("providers.sse", "port", Some("providers.websocket.port")),
            ("", "port", Some("providers.websocket.port")),
            ("", "listn", Some("listen")),
            ("", "message_bytes", Some("limits.messageBytes")),
            ("rules[2]", "patern", Some("pattern")),
            ("rules[2].history", "message", Some("messages")),
            ("", "heartbeatInterval", None),
            ("", "database", None),
            ("", "x", None),
        ];
        for (parent, name, expected) in table {
            assert_eq!(nearest(parent, name).as_deref(), expected, "{parent}: {name}");
        }
    }

    #[test]
    fn every_key_is_listed_once_and_below_a_section() {
        let mut seen = BTreeSet::new();
        for key in keys() {
            assert!(seen.insert(key.path), "{} is listed twice", key.path);
            let parent = parent_of(key.path);
            let parent_key = keys().find(|other| without_element(other.path) == without_element(parent));
            assert!(parent.is_empty() || parent_key.is_some_and(Key::is_section), "{} has no section", key.path);
            assert!(key.doc().len() > 10 && key.doc().ends_with('.'), "{} has no description", key.path);
            assert!(!key.kind.describe().is_empty(), "{} has no kind", key.path);
        }
    }

    #[test]
    fn a_variable_is_the_path_in_capitals() {
        let table = [
            ("listen", "REALTIME__LISTEN"),
            ("providers.sse.heartbeatInterval", "REALTIME__PROVIDERS__SSE__HEARTBEAT_INTERVAL"),
            ("auth.apiKeys[].key", "REALTIME__AUTH__API_KEYS__0__KEY"),
        ];
        for (path, variable) in table {
            assert_eq!(find(path).map(Key::variable).as_deref(), Some(variable), "{path}");
        }
    }

    fn without_element(path: &str) -> &str {
        path.strip_suffix("[]").unwrap_or(path)
    }
}

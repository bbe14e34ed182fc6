//! The command line: every subcommand and flag, in the words that `--help` prints.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// One small server for realtime messaging, over WebSocket and Server-Sent Events.
///
/// Without a subcommand it serves. Without a configuration it serves for development, on loopback.
#[derive(Debug, Parser)]
#[command(name = "realtime-connector", version, args_conflicts_with_subcommands = true)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 130 interrupted.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) serve: SettingArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server (the default)
    ///
    /// SIGTERM and SIGINT stop it in order: not ready, clients told, queues flushed, exit code 0. A second signal
    /// stops it at once.
    Serve(SettingArgs),
    /// Publish one message
    ///
    /// Without --channel and --user it reaches everyone; with both, that user's connections in the channel.
    Publish(PublishArgs),
    /// Show messages as they arrive
    ///
    /// Messages to everyone are always shown. The connection is made again when it is lost, and continues where it
    /// was.
    Tail(TailArgs),
    /// List the connections of a server
    Connections(ConnectionsArgs),
    /// Check, print or explain the configuration
    Config(ConfigArgs),
    /// Look at a store, also while a server uses it
    Store(StoreArgs),
}

/// Where settings come from, beside the environment.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SettingArgs {
    /// Configuration file, TOML or (*.json) JSON; else realtime.toml or realtime.json in the working directory
    #[arg(long, value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,
    /// Address to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) listen: Option<String>,
    /// Development: no authentication, everything allowed, loopback only
    #[arg(long)]
    pub(crate) dev: bool,
    /// What a client uses when it does not choose: websocket or sse [default: websocket]
    #[arg(long, value_name = "NAME")]
    pub(crate) provider: Option<String>,
    /// Worker threads; 0 is one per core [default: 0]
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<String>,
    /// Folder of a store: messages outlive the process [default: they are kept in memory only]
    #[arg(long, value_name = "DIR")]
    pub(crate) store: Option<String>,
    /// API key to accept, at least 32 characters; may be repeated. Other users of this machine can see flags: prefer
    /// REALTIME__AUTH__API_KEYS__0__KEY_FILE
    #[arg(long = "api-key", value_name = "KEY")]
    pub(crate) api_keys: Vec<String>,
    /// Any other key, as in --set providers.sse.heartbeatInterval=30s; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// Which server, and who we are.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServerArgs {
    /// The server
    #[arg(long, env = "REALTIME_URL", hide_env_values = true, default_value = "http://127.0.0.1:8080")]
    pub(crate) url: String,
    /// API key of the server; REALTIME_API_KEY_FILE may name a file that holds it
    #[arg(long, env = "REALTIME_API_KEY", hide_env_values = true, value_name = "KEY")]
    pub(crate) api_key: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    /// Type of the message, such as order.created
    #[arg(value_name = "TYPE")]
    pub(crate) kind: String,
    /// Its data, as JSON; - reads it from standard input
    #[arg(value_name = "JSON")]
    pub(crate) data: String,
    /// To the subscribers of this channel
    #[arg(long, short)]
    pub(crate) channel: Option<String>,
    /// To the connections of this user
    #[arg(long, short)]
    pub(crate) user: Option<String>,
    /// Id of the message; the same id within 5 minutes is not delivered again
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// Do not store it: at most once, to whoever is there now
    #[arg(long)]
    pub(crate) ephemeral: bool,
    /// Print the server's answer as JSON, and errors too
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// Channels to subscribe to
    #[arg(value_name = "CHANNEL")]
    pub(crate) channels: Vec<String>,
    /// Connect as this user (dev mode only)
    #[arg(long, short)]
    pub(crate) user: Option<String>,
    /// Stop after this many messages
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) count: Option<u64>,
    /// Print each frame as one line of JSON, and errors as JSON too
    #[arg(long)]
    pub(crate) json: bool,
    /// Colours
    #[arg(long, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(crate) color: Color,
    /// Path of the event stream (providers.sse.path)
    #[arg(long, default_value = "/sse", value_name = "PATH")]
    pub(crate) path: String,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    Always,
    Never,
}

#[derive(Debug, Args)]
pub(crate) struct ConnectionsArgs {
    /// Only those that are subscribed to this channel
    #[arg(long, short)]
    pub(crate) channel: Option<String>,
    /// Only those of this user
    #[arg(long, short)]
    pub(crate) user: Option<String>,
    /// At most this many
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
    /// Print them as JSON, and errors too
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Read the configuration as `serve` would, and say what is wrong or what it changes
    Check {
        /// For programs
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        settings: SettingArgs,
    },
    /// Print a file with every key and its default
    Default {
        /// As JSON, without descriptions
        #[arg(long)]
        json: bool,
    },
    /// Tell about one key, or the keys of a section, and where its value comes from
    Explain {
        /// A key such as providers.sse.heartbeatInterval; without it, all keys are listed
        #[arg(value_name = "KEY")]
        key: Option<String>,
        /// For programs
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        settings: SettingArgs,
    },
}

#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    pub(crate) command: StoreCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Read everything and compare all sums; exit code 1 if something is wrong
    ///
    /// It changes nothing, and reads one moment of a store in use. Run it as the user that the server runs as.
    Check {
        /// The folder that `store.path` names
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// For programs
        #[arg(long)]
        json: bool,
    },
    /// Count what is in it
    ///
    /// It changes nothing. Run it as the user that the server runs as.
    Stats {
        /// The folder that `store.path` names
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// For programs
        #[arg(long)]
        json: bool,
    },
}

//! The command line: what was typed (the clap types here), and one file for each command. Only this room prints.

mod access;
mod announce;
mod bug;
mod check;
mod exit;
mod log;
mod print;
mod redrive;
mod replay;
mod serve;
mod setup;
mod sign;
mod story;
mod voice;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use exit::{Failure, NO, OK, STORE, UNREACHABLE, USAGE};

/// A webhook receiver gateway: proves each delivery, keeps each event once, on disk before it says 2xx, and hands it to your
/// handlers until they succeed.
#[derive(Debug, Parser)]
#[command(name = "hookgate", version, max_term_width = 100, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 as asked; 1 the answer is no; 2 wrong usage or config; 3 store or gateway not reached, port or lock taken; \
4 the store is damaged, failing, lost or too new.";

/// What every command takes.
#[derive(Debug, Args)]
struct Global {
    /// Config file [default: ./hookgate.toml if it is there, else a demo on loopback]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Database file [default: from the config, else hookgate.db]
    #[arg(long, global = true, value_name = "URL")]
    database: Option<String>,
    /// How the log on stderr looks
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Pretty, value_name = "FORMAT")]
    log_format: LogFormat,
    /// Say less
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
}

/// How the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway; without a config file, a demo on loopback for Stripe and GitHub
    Serve(ServeArgs),
    /// Play fixture deliveries against a gateway as their provider would: signed anew, at the present time
    Replay(ReplayArgs),
    /// The dedupe log: what came, what was first, what was a duplicate, what the handlers said
    Log(LogArgs),
    /// Hand dead (with --force: done) events to their handlers again
    Redrive(RedriveArgs),
    /// Read the config, resolve secrets, and say in a sentence what each source and handler will do
    Check(CheckArgs),
}

/// `serve`.
#[derive(Debug, Args)]
struct ServeArgs {
    /// Address of the public listener [default: 127.0.0.1:8080]; port 0 takes any
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Address of the admin listener [default: 127.0.0.1:8081]
    #[arg(long, value_name = "ADDR")]
    admin_listen: Option<SocketAddr>,
    /// Forward every event of every source to this URL
    #[arg(short, long, value_name = "URL")]
    forward_to: Option<String>,
    /// Write the addresses and the pid to this file once the listeners are open; removed on exit
    #[arg(long, value_name = "PATH")]
    ready_file: Option<PathBuf>,
    /// Start a new database although the lock file knows of another: events recorded there are forgotten
    #[arg(long)]
    new_database: bool,
}

/// `replay`.
#[derive(Debug, Args)]
struct ReplayArgs {
    /// A fixture, a folder of them, a bare body file, or the name of a built-in one: stripe/invoice.paid, stripe
    #[arg(required_unless_present = "list", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Show the built-in fixtures
    #[arg(long)]
    list: bool,
    /// Base URL of the gateway [default: the configured public listener]
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// The source to play to, where several have the fixture's provider, or for a bare body
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Play everything so many times
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    times: u32,
    /// Deliveries at a time
    #[arg(long, default_value_t = 4, value_name = "N")]
    concurrency: usize,
    /// Deliveries a second, whether answers come or not
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// Sign with the secret in this variable instead of the source's own
    #[arg(long, value_name = "VAR")]
    secret_env: Option<String>,
    /// Event type of a bare body, where the provider puts it in a header
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,
    /// Give each delivery an id of its own
    #[arg(long)]
    fresh_ids: bool,
    /// Send the refused cases too, their defect applied after signing
    #[arg(long)]
    all: bool,
    /// Spoil every signature, and expect a refusal
    #[arg(long)]
    bad_signature: bool,
    /// Sign at a time that is too old, and expect a refusal
    #[arg(long, conflicts_with = "bad_signature")]
    stale: bool,
    /// Play to a gateway that is no demo, or off loopback
    #[arg(long)]
    yes: bool,
    /// One JSON object for each delivery
    #[arg(long)]
    json: bool,
}

/// Slower is no load, and faster than any machine.
fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().map_err(|_no_number: std::num::ParseFloatError| "not a number".to_owned())?;
    if (0.001..=1e6).contains(&rate) { Ok(rate) } else { Err("it is 0.001 to 1000000 a second".to_owned()) }
}

/// `log`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
struct LogArgs {
    #[command(subcommand)]
    command: Option<LogCommand>,
    #[command(flatten)]
    filter: LogFilter,
    /// Go on with what comes
    #[arg(long)]
    follow: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum LogCommand {
    /// One event's whole story
    Show(ShowArgs),
}

/// `log show`.
#[derive(Debug, Args)]
struct ShowArgs {
    /// SOURCE/EVENT_ID, a delivery id, or an event id that only one source has
    #[arg(value_name = "ID")]
    id: String,
    /// Write the body's exact bytes, nothing else
    #[arg(long, conflicts_with = "json")]
    body: bool,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// Which deliveries.
#[derive(Debug, Args)]
struct LogFilter {
    /// Of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Of this event
    #[arg(long, value_name = "ID")]
    event_id: Option<String>,
    /// Of a type that matches; `*` is any run of characters
    #[arg(long = "type", value_name = "GLOB")]
    event_type: Option<String>,
    /// first, duplicate, conflict, rejected or handshake
    #[arg(long, value_name = "VERDICT")]
    verdict: Option<String>,
    /// Whose event is accepted, done or dead now
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// Whose event has a task of this handler
    #[arg(long, value_name = "NAME")]
    handler: Option<String>,
    /// Not older than this: a duration such as 2h, or an RFC 3339 time
    #[arg(long, value_name = "2h|TIME")]
    since: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: usize,
}

/// `redrive`.
#[derive(Debug, Args)]
struct RedriveArgs {
    /// SOURCE/EVENT_ID, a delivery id, or an event id that only one source has
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Only this handler's task
    #[arg(long, value_name = "NAME")]
    handler: Option<String>,
    /// Make a task for this handler, or move the chosen one to it
    #[arg(long, value_name = "NEW")]
    to_handler: Option<String>,
    /// Done tasks too, not only dead ones
    #[arg(long)]
    force: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// One JSON object for each event
    #[arg(long)]
    json: bool,
}

/// `check`.
#[derive(Debug, Args)]
struct CheckArgs {
    /// One JSON object for each source and handler
    #[arg(long)]
    json: bool,
}

/// Runs what was typed.
///
/// # Errors
/// Why it could not be done, with the exit code.
pub fn run(cli: Cli) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(UNREACHABLE, format!("no threads to run on: {error}")))?;
    setup::install_crypto();
    let Cli { global, command } = cli;
    let _flushed = setup::subscribe(&global);
    let format = global.log_format;
    let done = runtime.block_on(async {
        match command {
            Command::Serve(args) => serve::run(&global, args).await,
            Command::Replay(args) => replay::run(&global, args).await,
            Command::Log(args) => log::run(&global, args).await,
            Command::Redrive(args) => redrive::run(&global, args).await,
            Command::Check(args) => check::run(&global, &args),
        }
    });
    done.inspect_err(|failure| match format {
        LogFormat::Pretty => print::error(&failure.message),
        LogFormat::Json => tracing::error!("{}", failure.message),
    })
}

/// Parses, runs, and tells what went wrong. What `main` is.
#[must_use]
pub fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    bug::install_hook(cli.global.log_format);
    match run(cli) {
        Ok(code) => code.into(),
        Err(failure) => failure.code.into(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}

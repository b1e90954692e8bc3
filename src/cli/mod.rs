//! The command line: one file for each command, which begins with what can be typed. Only this room prints.

mod access;
mod announce;
mod bug;
mod check;
mod exit;
mod filter;
mod log;
mod pause;
mod print;
mod redrive;
mod reload;
mod reloader;
mod replay;
mod serve;
mod setup;
mod sign;
mod story;
mod voice;

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
    Serve(serve::ServeArgs),
    /// Play fixture deliveries against a gateway as their provider would: signed anew, at the present time
    Replay(replay::ReplayArgs),
    /// The dedupe log: what came, what was first, what was a duplicate, what the handlers said
    Log(log::LogArgs),
    /// Hand dead (with --force: done) events to their handlers again
    Redrive(redrive::RedriveArgs),
    /// Have a running gateway read its config again, without dropping a request
    Reload(reload::ReloadArgs),
    /// Stop calling a handler until it is resumed; its events are still accepted and wait
    Pause(pause::PauseArgs),
    /// Call a paused handler again, or one that was left alone for its failures
    Resume(pause::PauseArgs),
    /// List handlers: what they are called with, whether they are called, and what waits for them
    Handlers(pause::HandlersArgs),
    /// Read the config, resolve secrets, and say in a sentence what each source and handler will do
    Check(check::CheckArgs),
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
            Command::Reload(args) => reload::run(&global, &args).await,
            Command::Pause(args) => pause::run(&global, &args, true).await,
            Command::Resume(args) => pause::run(&global, &args, false).await,
            Command::Handlers(args) => pause::list(&global, &args).await,
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

//! The command line: one file for each command, which begins with what can be typed. Only this room prints.

mod access;
mod announce;
mod bug;
mod check;
mod client;
mod completions;
mod deed;
mod discard;
mod exit;
mod filter;
mod follow;
mod init;
mod log;
mod man;
mod pause;
mod print;
mod providers;
mod purge;
mod redrive;
mod reload;
mod reloader;
mod replay;
mod serve;
mod setup;
mod sign;
mod stats;
mod story;
mod verify;
mod voice;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use exit::{Failure, NO, OK, STORE, UNREACHABLE, USAGE};

/// A webhook receiver gateway: proves each delivery, keeps each event once, on disk before it says 2xx, and hands it to your
/// handlers until they succeed.
#[derive(Debug, Parser)]
#[command(name = "hookgate", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = MORE, after_long_help = ABOUT)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const MORE: &str = "`hookgate help COMMAND` tells all about a command, with examples.";

const ABOUT: &str = "First steps:
  hookgate serve             a demo on loopback; it says what to do next
  hookgate init stripe       a config with the provider's own set-up steps
  hookgate check             what the config means, in sentences

Environment; a flag goes before it, the config file behind it:
  HOOKGATE_CONFIG            the config file
  HOOKGATE_LISTEN            address of the public listener
  HOOKGATE_ADMIN_LISTEN      address of the admin listener
  HOOKGATE_DATABASE          the database
  HOOKGATE_ADMIN_TOKEN       the token of the admin listener
  NO_COLOR                   no colours
  and the variables that the config names for its secrets

Results go to stdout, everything else to stderr.

Exit codes:
  0  as asked
  1  the answer is no: a request refused, an expectation failed
  2  wrong usage or config, an unreadable secret
  3  store or gateway not reached, the port or the lock is taken
  4  the store is damaged, failing, lost or too new";

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
struct Global {
    /// Config file [default: hookgate.toml here, if it is there, else the demo on loopback]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Database: a path, or sqlite:PATH [default: the config's, else hookgate.db]
    #[arg(long, global = true, value_name = "URL")]
    database: Option<String>,
    /// Admin listener of a gateway elsewhere, with its token in HOOKGATE_ADMIN_TOKEN; no config or database is read then
    #[arg(long, global = true, value_name = "URL", conflicts_with_all = ["config", "database"])]
    gateway: Option<String>,
    /// Log on stderr: `pretty` for people, `json` one object a line, deliveries too
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Pretty, value_name = "FORMAT", hide_possible_values = true)]
    log_format: LogFormat,
    /// Say less: results and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Log more to stderr; twice, three times: still more
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
    /// Show the dedupe log: what came, what was first, what was a duplicate, what the handlers said
    Log(log::LogArgs),
    /// Hand dead (with --force: done and discarded) events to their handlers again
    Redrive(redrive::RedriveArgs),
    /// End what is left of dead events, and of those whose handler nobody has
    Discard(discard::DiscardArgs),
    /// Have a running gateway read its config again, without dropping a request
    Reload(reload::ReloadArgs),
    /// Stop calling a handler until it is resumed; its events are still accepted and wait
    #[command(after_long_help = pause::PAUSE_EXAMPLES)]
    Pause(pause::PauseArgs),
    /// Call a paused handler again, or one that was left alone for its failures
    #[command(after_long_help = pause::RESUME_EXAMPLES)]
    Resume(pause::PauseArgs),
    /// List handlers: what they are called with, whether they are called, and what waits for them
    Handlers(pause::HandlersArgs),
    /// Purge now what was kept long enough: bodies, then what answers repeats, and the log
    Purge(purge::PurgeArgs),
    /// Read the config, resolve secrets, and say in a sentence what each source and handler will do
    Check(check::CheckArgs),
    /// Say whether a captured request would pass, and if not, the likely mistake; offline
    Verify(verify::VerifyArgs),
    /// Write a commented config with each provider's own set-up steps and the URL to paste
    Init(init::InitArgs),
    /// Show the providers: how each signs, its ids, its deadline and retries
    Providers(providers::ProvidersArgs),
    /// Print what a shell needs to complete these commands
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or write the pages of all commands into a directory
    Man(man::ManArgs),
}

impl Command {
    /// Whether it is about a gateway that runs, which may be another machine's.
    const fn takes_gateway(&self) -> bool {
        matches!(
            self,
            Self::Log(_)
                | Self::Redrive(_)
                | Self::Discard(_)
                | Self::Reload(_)
                | Self::Pause(_)
                | Self::Resume(_)
                | Self::Handlers(_)
                | Self::Purge(_)
        )
    }
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
        if global.gateway.is_some() && !command.takes_gateway() {
            return Err(Failure::new(USAGE, "this command works on this machine alone: take --gateway out"));
        }
        match command {
            Command::Serve(args) => serve::run(&global, args).await,
            Command::Replay(args) => replay::run(&global, args).await,
            Command::Log(args) => log::run(&global, args).await,
            Command::Redrive(args) => redrive::run(&global, args).await,
            Command::Discard(args) => discard::run(&global, args).await,
            Command::Reload(args) => reload::run(&global, &args).await,
            Command::Pause(args) => pause::run(&global, &args, true).await,
            Command::Resume(args) => pause::run(&global, &args, false).await,
            Command::Handlers(args) => pause::list(&global, &args).await,
            Command::Purge(args) => purge::run(&global, &args).await,
            Command::Check(args) => check::run(&global, &args),
            Command::Verify(args) => verify::run(&global, &args),
            Command::Init(args) => init::run(&global, &args),
            Command::Providers(args) => providers::run(&global, &args),
            Command::Completions(args) => completions::run(&args),
            Command::Man(args) => man::run(&global, &args),
        }
    });
    done.inspect_err(|failure| match format {
        LogFormat::Pretty => print::error(&failure.message),
        LogFormat::Json => tracing::error!("{}", failure.plain()),
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
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }

    /// Every command, however deep.
    fn commands(command: clap::Command) -> Vec<clap::Command> {
        let inner = command.get_subcommands().filter(|inner| inner.get_name() != "help").cloned().flat_map(commands);
        inner.chain([command.clone()]).collect()
    }

    #[test]
    fn every_command_has_examples_that_fit_a_terminal_and_parse() {
        for command in commands(super::Cli::command()) {
            let name = command.get_name().to_owned();
            let help = command.get_after_long_help().unwrap_or_else(|| panic!("`{name}` has no examples")).to_string();
            let code: Vec<&str> = help.lines().filter(|line| line.starts_with("  ")).collect();
            assert!(code.iter().all(|line| line.len() <= 80), "`{name}`: lines that are not prose do not wrap:\n{help}");
            let examples: Vec<&str> = code.iter().map(|line| line.trim()).filter(|line| line.starts_with("hookgate ")).collect();
            assert!(!examples.is_empty(), "`{name}` has no examples");
            for example in examples.iter().filter(|example| !example.ends_with('\\')) {
                let typed =
                    ["  ", " | ", " > ", " >> "].iter().fold(*example, |text, end| text.split(end).next().unwrap_or(text));
                let words: Vec<String> = typed.split(' ').map(|word| word.replace('\'', "")).collect();
                super::Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("`{typed}`: {error}"));
            }
        }
    }

    #[test]
    fn every_option_says_what_it_does() {
        for command in commands(super::Cli::command()) {
            for option in command.get_arguments() {
                assert!(option.get_help().is_some(), "`{}` of `{}`", option.get_id(), command.get_name());
            }
        }
    }
}

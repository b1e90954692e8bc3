//! `hookgate man`: manual pages, made of the same definitions that parse the command line.

use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};
use clap_mangen::Man;

use super::exit::{Failure, OK, UNREACHABLE};
use super::{Cli, Global, print};

const EXAMPLES: &str = "Examples:
  hookgate man | man -l -                      read the page of hookgate(1)
  hookgate man ~/.local/share/man/man1         install the pages of all commands";

/// `man`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct ManArgs {
    /// Write the page of every command into this directory, which is made where it is missing [default: print hookgate(1)]
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Prints one page, or writes all.
pub(super) fn run(global: &Global, args: &ManArgs) -> Result<u8, Failure> {
    let Some(directory) = &args.directory else {
        let mut page = Vec::new();
        let failed = |error: std::io::Error| Failure::new(UNREACHABLE, format!("cannot make the page: {error}"));
        Man::new(command()).render(&mut page).map_err(failed)?;
        print::bytes(&page);
        return Ok(OK);
    };
    write_all(directory)
        .map_err(|error| Failure::new(UNREACHABLE, format!("cannot write pages into {}: {error}", directory.display())))?;
    if !global.quiet {
        print::aside(&format!("wrote the pages into {}: `man hookgate` finds them once it is in MANPATH", directory.display()));
    }
    Ok(OK)
}

fn write_all(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    clap_mangen::generate_to(command(), directory)
}

/// Every command has a page; `help` has none, as the pages are the help.
fn command() -> clap::Command {
    Cli::command().disable_help_subcommand(true)
}

//! `hookgate completions`: what a shell needs to complete our commands, made of the same definitions that parse them.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::exit::{Failure, OK};
use super::{Cli, print};

const EXAMPLES: &str = "Where each shell looks for it:
  hookgate completions bash \\
      > ~/.local/share/bash-completion/completions/hookgate
  hookgate completions zsh > \"${fpath[1]}/_hookgate\"
  hookgate completions fish > ~/.config/fish/completions/hookgate.fish
  hookgate completions elvish >> ~/.config/elvish/rc.elv
  hookgate completions powershell >> $PROFILE";

/// `completions`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

/// Writes the script to stdout.
pub(super) fn run(args: &CompletionsArgs) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "hookgate", &mut script);
    print::bytes(&script);
    Ok(OK)
}

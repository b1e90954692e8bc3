//! The binary: parse, run, exit code. For each command that is a handler it starts itself twice more, to play another part.

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use hookgate::handler::exec::Role;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match Role::of(&arguments) {
        Some(role) => role.play(io::stdin(), io::stdout(), io::stderr()),
        None => hookgate::cli::main(),
    }
}

//! The binary: parse, run, exit code.

fn main() -> std::process::ExitCode {
    hookgate::cli::main()
}

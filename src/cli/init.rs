//! `hookgate init`: writes a config file that explains itself, with each provider's own set-up steps and the URL to paste.

mod text;

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use clap::Args;

use super::exit::{Failure, OK, UNREACHABLE, USAGE};
use super::providers::{self, variable};
use super::{Global, print, setup};
use crate::config::{self, Environment, Flags, Keys};
use crate::preset::Preset;

const EXAMPLES: &str = "Examples:
  hookgate init                                for Stripe and GitHub
  hookgate init stripe --public-url https://hooks.example.com
  hookgate init standard-webhooks --stdout     look at it first
  hookgate init github --config /etc/hookgate/hookgate.toml

`hookgate providers` lists the names. Nothing is asked, and no secret is written: the file names the variables that hold them.";

/// `init`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct InitArgs {
    /// Providers to have a source of [default: stripe github]
    #[arg(value_name = "PROVIDER")]
    providers: Vec<String>,
    /// What providers will call, such as https://hooks.example.com [default: left to be filled in]
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Write over a file that is there
    #[arg(long, conflicts_with = "stdout")]
    force: bool,
    /// Print it instead of writing a file; `-` as PROVIDER or FILE does the same
    #[arg(long)]
    stdout: bool,
}

/// Writes the file, or prints it.
pub(super) fn run(global: &Global, args: &InitArgs) -> Result<u8, Failure> {
    let presets = setup::builtin_presets();
    let mut chosen = Vec::new();
    let named = args.providers.iter().map(String::as_str).filter(|name| *name != "-");
    let named: Vec<&str> = named.collect();
    for name in if named.is_empty() { vec!["stripe", "github"] } else { named } {
        let preset = providers::find(&presets, name)?;
        if !chosen.iter().any(|known: &&Preset| known.name() == preset.name()) {
            chosen.push(&**preset);
        }
    }
    let text = text::config(&chosen, args.public_url.as_deref());
    // What it writes must load; a public URL that is none is found out here.
    config::load_text(&text, None, &Flags::default(), &Environment::default(), Keys::Look)
        .map_err(|error| setup::failure(&error, None))?;
    let path = config::file_path(&setup::flags(global), &Environment::of_process());
    if args.stdout || path == Path::new("-") || args.providers.iter().any(|name| name == "-") {
        print::bytes(text.as_bytes());
        return Ok(OK);
    }
    write(&path, &text, args.force)?;
    print::line(&format!("wrote {}", path.display()));
    if !global.quiet {
        say_next(&chosen, &path);
    }
    Ok(OK)
}

fn write(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Failure::new(
            USAGE,
            format!(
                "{} is there already\nhelp: --force writes over it, --config FILE names another, --stdout prints",
                path.display()
            ),
        ),
        _ => Failure::new(UNREACHABLE, format!("cannot write {}: {error}", path.display())),
    })
}

/// To stderr: what is to be done now.
fn say_next(chosen: &[&Preset], path: &Path) {
    let option = setup::config_option(path);
    print::aside("next:");
    print::aside("  1. follow the set-up steps in it, for each provider");
    let variables: Vec<String> = chosen.iter().map(|preset| variable(preset, preset.first_slot())).collect();
    print::aside(&format!("  2. set {}", variables.join(", ")));
    print::aside(&format!("  3. hookgate check{option}"));
    print::aside(&format!("  4. hookgate serve{option}"));
}

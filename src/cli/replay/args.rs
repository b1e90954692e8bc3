//! What was typed after `hookgate replay`.

use std::path::PathBuf;

use clap::Args;

const EXAMPLES: &str = "Examples:
  hookgate replay fixtures/stripe fixtures/github
  hookgate replay fixtures/stripe --all        the refused cases too
  hookgate replay fixtures/stripe --fresh-ids --times 100 --concurrency 16
  hookgate replay body.json --source github --type push
  hookgate replay stripe/invoice.paid          a built-in one
  hookgate replay fixtures/github --to https://hooks.example.com \\
      --secret-env HOOK_SECRET --yes

A fixture is a folder with request.http and case.toml. A second run meets its own record: the ids are the fixtures', unless \
--fresh-ids is given. Exit code 1 if any answer was not as the fixture expects.";

/// `replay`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(in crate::cli) struct ReplayArgs {
    /// A fixture, a folder of them, a bare body file, or the name of a built-in one: stripe/invoice.paid, stripe
    #[arg(required_unless_present = "list", value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// Show the built-in fixtures
    #[arg(long)]
    pub(super) list: bool,
    /// Base URL of the gateway, without /hooks [default: the config's public listener, else the demo's]
    #[arg(long, value_name = "URL")]
    pub(super) to: Option<String>,
    /// The source to play to, where several have the fixture's provider, or for a bare body
    #[arg(long, value_name = "NAME")]
    pub(super) source: Option<String>,
    /// Play everything so many times
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) times: u32,
    /// Deliveries under way at a time
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub(super) concurrency: usize,
    /// Send so many a second, whether answers come or not (an open loop) [default: as fast as answers come]
    #[arg(long, value_name = "N", value_parser = rate)]
    pub(super) rate: Option<f64>,
    /// Sign with the secret in this variable [default: the source's newest secret]
    #[arg(long, value_name = "VAR")]
    pub(super) secret_env: Option<String>,
    /// Event type of a bare body, where the provider puts it in a header
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) event_type: Option<String>,
    /// Give each delivery a new id, so that none is a repeat
    #[arg(long)]
    pub(super) fresh_ids: bool,
    /// Send the refused cases too, their defect applied after signing
    #[arg(long)]
    pub(super) all: bool,
    /// Spoil every signature, and expect each to be refused
    #[arg(long)]
    pub(super) bad_signature: bool,
    /// Sign as of a day ago, and expect each to be refused
    #[arg(long, conflicts_with = "bad_signature")]
    pub(super) stale: bool,
    /// Go on although the gateway is no demo, or off loopback
    #[arg(long)]
    pub(super) yes: bool,
    /// One JSON object for each delivery, instead of the table
    #[arg(long)]
    pub(super) json: bool,
}

/// Slower is no load, and faster than any machine.
fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().map_err(|_no_number: std::num::ParseFloatError| "not a number".to_owned())?;
    if (0.001..=1e6).contains(&rate) { Ok(rate) } else { Err("it is 0.001 to 1000000 a second".to_owned()) }
}

//! What was typed after `hookgate replay`.

use std::path::PathBuf;

use clap::Args;

/// `replay`.
#[derive(Debug, Args)]
pub(in crate::cli) struct ReplayArgs {
    /// A fixture, a folder of them, or a bare body file
    #[arg(required = true, value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// Base URL of the gateway [default: the configured public listener]
    #[arg(long, value_name = "URL")]
    pub(super) to: Option<String>,
    /// The source to play to, where several have the fixture's provider, or for a bare body
    #[arg(long, value_name = "NAME")]
    pub(super) source: Option<String>,
    /// Play everything so many times
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) times: u32,
    /// Deliveries at a time
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub(super) concurrency: usize,
    /// Deliveries a second, whether answers come or not
    #[arg(long, value_name = "N", value_parser = rate)]
    pub(super) rate: Option<f64>,
    /// Sign with the secret in this variable instead of the source's own
    #[arg(long, value_name = "VAR")]
    pub(super) secret_env: Option<String>,
    /// Event type of a bare body, where the provider puts it in a header
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) event_type: Option<String>,
    /// Give each delivery an id of its own
    #[arg(long)]
    pub(super) fresh_ids: bool,
    /// Send the refused cases too, their defect applied after signing
    #[arg(long)]
    pub(super) all: bool,
    /// Spoil every signature, and expect a refusal
    #[arg(long)]
    pub(super) bad_signature: bool,
    /// Sign at a time that is too old, and expect a refusal
    #[arg(long, conflicts_with = "bad_signature")]
    pub(super) stale: bool,
    /// Play to a gateway that is no demo, or off loopback
    #[arg(long)]
    pub(super) yes: bool,
    /// One JSON object for each delivery
    #[arg(long)]
    pub(super) json: bool,
}

/// Slower is no load, and faster than any machine.
fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().map_err(|_no_number: std::num::ParseFloatError| "not a number".to_owned())?;
    if (0.001..=1e6).contains(&rate) { Ok(rate) } else { Err("it is 0.001 to 1000000 a second".to_owned()) }
}

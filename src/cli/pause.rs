//! `hookgate pause`, `resume` and `handlers`: whether handlers are called, and how they stand.

use clap::Args;

use super::access;
use super::exit::{Failure, OK};
use super::filter::handler_name;
use super::print::{Piece, plain};
use super::{Global, print};
use crate::model::{HandlerReport, HandlerState};

/// Of `pause`.
pub(super) const PAUSE_EXAMPLES: &str = "Examples:
  hookgate pause billing
  hookgate pause billing --json

It lasts over restarts. Calls in hand end as they would.";

/// Of `resume`.
pub(super) const RESUME_EXAMPLES: &str = "Examples:
  hookgate resume billing";

const HANDLERS_EXAMPLES: &str = "Examples:
  hookgate handlers
  hookgate handlers --json | jq -r 'select(.open_tasks > 0) | .handler'";

/// `pause` and `resume`.
#[derive(Debug, Args)]
pub(super) struct PauseArgs {
    /// Name of the handler
    #[arg(value_name = "HANDLER")]
    handler: String,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

/// `handlers`.
#[derive(Debug, Args)]
#[command(after_long_help = HANDLERS_EXAMPLES)]
pub(super) struct HandlersArgs {
    /// One JSON object for each handler
    #[arg(long)]
    json: bool,
}

/// Pauses a handler or resumes it.
pub(super) async fn run(global: &Global, args: &PauseArgs, paused: bool) -> Result<u8, Failure> {
    let handler = handler_name(&args.handler)?;
    let access = access::reach(global)?;
    let changed = access.pause(&handler, paused).await?;
    if args.json {
        print::json(
            &serde_json::json!({ "v": crate::model::REPORT_VERSION, "handler": handler, "paused": paused, "changed": changed }),
        )?;
    } else {
        print::line(match (paused, changed) {
            (true, true) => "paused: its events wait, and are still accepted and acknowledged; calls in hand end",
            (true, false) => "it was paused before",
            (false, true) => "resumed",
            (false, false) => "it was not paused; if it was left alone for its failures, it is called again",
        });
    }
    if changed && !access.is_live() && !global.quiet {
        print::aside("no gateway runs now: it counts from the next start");
    }
    Ok(OK)
}

/// Lists handlers and how they stand.
pub(super) async fn list(global: &Global, args: &HandlersArgs) -> Result<u8, Failure> {
    let handlers = access::reach(global)?.handlers().await?;
    if args.json {
        handlers.iter().try_for_each(print::json)?;
    } else if handlers.is_empty() {
        print::line("no handler is configured, and none has open tasks");
    } else {
        let head = ["HANDLER", "STATE", "OPEN TASKS", "IN HAND", "FAILURES", "GOES TO"];
        print::line(&print::table(&head, handlers.iter().map(row).collect(), &[2, 3, 4]));
    }
    Ok(OK)
}

fn row(handler: &HandlerReport) -> Vec<Piece> {
    let style = match handler.state {
        HandlerState::Active => print::GREEN,
        HandlerState::Paused => print::YELLOW,
        HandlerState::Failing | HandlerState::Vanished => print::RED,
    };
    let state = match (handler.paused_since, handler.probe_in_ms) {
        (Some(since), _) => format!("paused since {}", print::date(since)),
        (None, Some(wait)) => format!("failing, tried in {}", print::millis(wait * 1000)),
        (None, None) => handler.state.as_str().to_owned(),
    };
    let target = match (&handler.target, handler.state) {
        (Some(target), _) => target.clone(),
        (None, HandlerState::Vanished) => "nowhere: move its tasks with redrive, or discard them".to_owned(),
        // Only a gateway that runs knows.
        (None, _) => "no gateway runs now".to_owned(),
    };
    vec![
        plain(handler.handler.to_string()),
        (state, style),
        plain(handler.open_tasks.to_string()),
        plain(handler.in_hand.to_string()),
        plain(handler.failures.to_string()),
        plain(target),
    ]
}

//! `hookgate pause`, `resume` and `handlers`: whether handlers are called, and how they stand.

use clap::Args;

use super::access::{self, Access};
use super::exit::{Failure, OK, USAGE};
use super::print::{Piece, plain};
use super::{Global, print, setup};
use crate::config::Keys;
use crate::model::{HandlerName, HandlerReport, HandlerState};

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
pub(super) struct HandlersArgs {
    /// One JSON object for each handler
    #[arg(long)]
    json: bool,
}

/// Pauses a handler or resumes it.
pub(super) async fn run(global: &Global, args: &PauseArgs, paused: bool) -> Result<u8, Failure> {
    let handler = HandlerName::parse(&args.handler)
        .map_err(|error| Failure::new(USAGE, format!("`{}` is no handler: {error}", args.handler.escape_debug())))?;
    let access = open(global)?;
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
    let handlers = open(global)?.handlers().await?;
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

fn open(global: &Global) -> Result<Access, Failure> {
    access::open(&setup::settings(&setup::flags(global), Keys::Leave)?)
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
    let target = handler.target.clone().unwrap_or_else(|| "nowhere: move its tasks with redrive, or discard them".to_owned());
    vec![
        plain(handler.handler.to_string()),
        (state, style),
        plain(handler.open_tasks.to_string()),
        plain(handler.in_hand.to_string()),
        plain(handler.failures.to_string()),
        plain(target),
    ]
}

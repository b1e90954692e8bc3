//! `hookgate redrive`: dead events go to their handlers again.

use std::io::{BufRead, IsTerminal};

use clap::Args;

use super::access::{self, Access};
use super::exit::{Failure, NO, OK, USAGE};
use super::{Global, print, setup};
use crate::config::Keys;
use crate::model::{EventReport, HandlerName};
use crate::web::RedriveBody;

/// `redrive`.
#[derive(Debug, Args)]
pub(super) struct RedriveArgs {
    /// SOURCE/EVENT_ID, a delivery id, or an event id that only one source has
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Only this handler's task
    #[arg(long, value_name = "NAME")]
    handler: Option<String>,
    /// Make a task for this handler, or move the chosen one to it
    #[arg(long, value_name = "NEW")]
    to_handler: Option<String>,
    /// Done tasks too, not only dead ones
    #[arg(long)]
    force: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// One JSON object for each event
    #[arg(long)]
    json: bool,
}

/// Redrives the named events.
pub(super) async fn run(global: &Global, args: RedriveArgs) -> Result<u8, Failure> {
    let body = RedriveBody {
        handler: args.handler.as_deref().map(handler).transpose()?,
        to_handler: args.to_handler.as_deref().map(handler).transpose()?,
        force: args.force,
    };
    args.ids.iter().try_for_each(|id| access::event_names(id).map(drop))?;
    let settings = setup::settings(&setup::flags(global), Keys::Leave)?;
    let access = access::open(&settings)?;
    let mut events = Vec::new();
    for id in &args.ids {
        let found = access.find_named(id).await?;
        events.push(found.ok_or_else(|| Failure::new(NO, format!("no event `{}` in the ledger", id.escape_debug())))?);
    }
    if !args.yes && !confirmed(events.len())? {
        return Ok(NO);
    }
    let mut made = 0;
    for event in &events {
        made += redrive(&access, event, &body, args.json).await?;
    }
    if made > 0 && !access.is_live() && !global.quiet {
        print::aside("no gateway runs now: they are called once one does");
    }
    Ok(OK)
}

async fn redrive(access: &Access, event: &EventReport, body: &RedriveBody, json: bool) -> Result<u64, Failure> {
    let done = access.redrive(event, body).await?;
    if json {
        print::json(
            &serde_json::json!({ "v": done.v, "source": event.source, "event_id": event.event_id, "tasks": done.tasks }),
        )?;
        return Ok(done.tasks);
    }
    let name = format!("{}/{}", event.source, event.event_id);
    match done.tasks {
        0 if body.force => print::line(&format!("{name}  nothing to do: its tasks are waiting or running")),
        0 => print::line(&format!("{name}  nothing to do: no dead task (--force takes done ones too)")),
        1 => print::line(&format!("{name}  1 task is due now")),
        more => print::line(&format!("{name}  {more} tasks are due now")),
    }
    Ok(done.tasks)
}

/// Asks on a terminal; a script is taken at its word for the events it named.
fn confirmed(count: usize) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Ok(true);
    }
    print::aside(&format!("redrive {}? Type {count} to go on:", print::counted(count as u64, "event")));
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| Failure::new(USAGE, format!("cannot read the answer: {error}")))?;
    Ok(line.trim() == count.to_string())
}

fn handler(text: &str) -> Result<HandlerName, Failure> {
    HandlerName::parse(text).map_err(|error| Failure::new(USAGE, format!("`{}` is no handler: {error}", text.escape_debug())))
}

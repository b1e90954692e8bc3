//! `hookgate redrive`: dead events go to their handlers again.

use clap::Args;

use super::access::{Access, Verb};
use super::deed::{self, Deed, Selection};
use super::exit::Failure;
use super::filter::handler_name;
use super::{Global, print};
use crate::model::EventReport;
use crate::web::{BulkBody, RedriveBody};

const EXAMPLES: &str = "Examples:
  hookgate redrive stripe/evt_1                its dead tasks
  hookgate redrive stripe/evt_1 --force        the done ones too
  hookgate redrive stripe/evt_1 --to-handler audit
  hookgate redrive stripe/evt_1 --handler old --to-handler new
  hookgate redrive --state dead --since 24h --dry-run
  hookgate redrive --handler old --to-handler new --yes

An event that no handler wanted gets a task for each handler that matches by now. A handler that gets an event again gets it under \
the same Idempotency-Key. Exit code 1 where an event is not in the ledger.";

/// `redrive`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct RedriveArgs {
    #[command(flatten)]
    selection: Selection,
    /// Make a task for this handler; with --handler, move that one's task to it
    #[arg(long, value_name = "NEW")]
    to_handler: Option<String>,
    /// Done and discarded tasks too, not only dead ones: their handlers get the event again
    #[arg(long)]
    force: bool,
}

/// Redrives the named events, or those of a filter.
pub(super) async fn run(global: &Global, args: RedriveArgs) -> Result<u8, Failure> {
    let handler = args.selection.handler.as_deref().map(handler_name).transpose()?;
    let to_handler = args.to_handler.as_deref().map(handler_name).transpose()?;
    let body = RedriveBody { handler, to_handler, force: args.force };
    let all = BulkBody { to_handler: args.to_handler.clone(), force: args.force, ..BulkBody::default() };
    deed::run(global, args.selection, &Redrive(body), all).await
}

struct Redrive(RedriveBody);

impl Deed for Redrive {
    const VERB: Verb = Verb::Redrive;

    async fn one(&self, access: &Access, event: &EventReport) -> Result<u64, Failure> {
        Ok(access.redrive(event, &self.0).await?.tasks)
    }

    fn done(&self, tasks: u64) -> String {
        match tasks {
            0 if self.0.force => "nothing to do: its tasks are waiting or running".to_owned(),
            0 => "nothing to do: no dead task (--force takes done and discarded ones too)".to_owned(),
            1 => "1 task is due now".to_owned(),
            more => format!("{more} tasks are due now"),
        }
    }

    fn would(&self, tasks: u64) -> String {
        format!("{} would be due", print::counted(tasks, "task"))
    }

    fn afterwards(&self, access: &Access) -> Option<&'static str> {
        (!access.is_live()).then_some("no gateway runs now: they are called once one does")
    }
}

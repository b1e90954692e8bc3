//! `hookgate discard`: what is left of an event goes no further.

use clap::Args;

use super::access::{Access, Verb};
use super::deed::{self, Deed, Selection};
use super::exit::{Failure, USAGE};
use super::filter::handler_name;
use super::{Global, print};
use crate::config::{Environment, operator};
use crate::model::{EventReport, Why};
use crate::web::{BulkBody, DiscardBody};

const EXAMPLES: &str = "Examples:
  hookgate discard stripe/evt_1 --reason 'a rehearsal'
  hookgate discard --state dead --handler billing --since 24h --reason moved

A task that runs is not discarded. The body stays as long as any, so `hookgate redrive ID --force` takes a discard back. Exit code 1 \
where an event is not in the ledger, or a task of it runs.";

/// `discard`.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct DiscardArgs {
    #[command(flatten)]
    selection: Selection,
    /// Why: 1 to 512 characters, kept with the task and shown by `log show`
    #[arg(long, required = true, value_name = "TEXT")]
    reason: String,
    /// Waiting tasks too, not only dead ones and those whose handler nobody has
    #[arg(long)]
    force: bool,
}

/// Discards tasks of the named events, or of those of a filter.
pub(super) async fn run(global: &Global, args: DiscardArgs) -> Result<u8, Failure> {
    let handler = args.selection.handler.as_deref().map(handler_name).transpose()?;
    Why::parse(&args.reason).map_err(|error| Failure::new(USAGE, format!("--reason {error}")))?;
    let by = Some(operator(&Environment::of_process()));
    let body = DiscardBody { handler, force: args.force, reason: Some(args.reason.clone()), by: by.clone() };
    let all = BulkBody { force: args.force, reason: Some(args.reason), by, ..BulkBody::default() };
    deed::run(global, args.selection, &Discard(body), all).await
}

struct Discard(DiscardBody);

impl Deed for Discard {
    const VERB: Verb = Verb::Discard;

    async fn one(&self, access: &Access, event: &EventReport) -> Result<u64, Failure> {
        Ok(access.discard(event, &self.0).await?.tasks)
    }

    fn done(&self, tasks: u64) -> String {
        match tasks {
            0 if self.0.force => "nothing to do: no dead or waiting task".to_owned(),
            0 => "nothing to do: no dead task, and none whose handler nobody has (--force takes waiting ones too)".to_owned(),
            tasks => format!("{} discarded", print::counted(tasks, "task")),
        }
    }

    fn would(&self, tasks: u64) -> String {
        format!("{} would be discarded", print::counted(tasks, "task"))
    }

    fn afterwards(&self, _: &Access) -> Option<&'static str> {
        None
    }
}

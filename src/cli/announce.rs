//! What `serve` tells: how it started, and then each delivery and each call. People get lines on stdout, machines a log on stderr.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::print::{self, BOLD, paint};
use super::voice::Voice;
use super::{Global, LogFormat, check};
use crate::app::{Gateway, Voices};
use crate::config::{HandlerKind, Settings, SourceSettings};
use crate::gateway::{Notice, Tell};
use crate::handler::{Call, Print};
use crate::ledger::Settlement;
use crate::model::HandlerName;

/// Who is told of what happens.
pub(super) fn voices(global: &Global, settings: &Settings, options: &str, voice: &Voice) -> Voices {
    let options = options.to_owned();
    let (of_notices, of_events) = (voice.clone(), voice.clone());
    let printers = printers(settings);
    let (tell, print): (Tell, Print) = match (global.log_format, global.quiet) {
        (_, true) => (Arc::new(|_: &Notice| {}), Arc::new(|_: &Call| {})),
        (LogFormat::Json, false) => (Arc::new(Notice::log), Arc::new(|_: &Call| {})),
        (LogFormat::Pretty, false) => (
            Arc::new(move |notice: &Notice| show(notice, &printers, &options, &of_notices)),
            Arc::new(move |call: &Call| of_events.say(&print::event(call, of_events.stdout()))),
        ),
    };
    Voices { tell, print, in_process: BTreeMap::new() }
}

/// The handlers that print, under whatever name.
fn printers(settings: &Settings) -> Vec<HandlerName> {
    let printers = settings.handlers.iter().filter(|handler| matches!(handler.kind, HandlerKind::Printer));
    printers.map(|handler| handler.name.clone()).collect()
}

fn show(notice: &Notice, printers: &[HandlerName], options: &str, voice: &Voice) {
    match notice {
        Notice::Delivery(delivery) => voice.say(&print::delivery(delivery, voice.stdout())),
        // A printer has spoken for itself.
        Notice::Attempt(attempt) if attempt.settlement == Settlement::Done && printers.contains(&attempt.handler) => {}
        Notice::Attempt(attempt) => voice.say(&print::attempt(attempt, options, voice.stdout())),
        Notice::Stray(stray) => voice.say(&print::stray(stray)),
        Notice::Handler(handler) => voice.say(&print::handler(handler)),
    }
}

/// A source to machines, its secrets by their fingerprints.
fn log_source(source: &SourceSettings) {
    let secrets: Vec<_> = source.verifier.fingerprints().iter().map(|(_, fingerprint, _)| fingerprint.to_string()).collect();
    tracing::info!(source.name = %source.name, source.provider = &**source.preset.name(), source.pending = source.verifier.is_pending(),
        source.secrets = secrets.join(" "), "source configured");
}

/// How a gateway started.
pub(super) struct Start<'a> {
    pub(super) settings: &'a Settings,
    /// By which commands reach it.
    pub(super) options: &'a str,
    pub(super) listen: SocketAddr,
    pub(super) admin_listen: SocketAddr,
    pub(super) is_new: bool,
}

impl Start<'_> {
    /// To people in words, to machines as a log line. Warnings go to both.
    pub(super) async fn announce(&self, global: &Global, gateway: &Gateway, voice: &Voice) {
        let warnings = self.settings.warnings.iter().cloned().chain(unhandled(gateway, self.options).await);
        if global.log_format == LogFormat::Json {
            tracing::info!(listen = %self.listen, admin_listen = %self.admin_listen, new_database = self.is_new,
                database = %self.settings.database.display(), "the gateway listens");
            self.settings.sources.iter().for_each(log_source);
            return warnings.for_each(|warning| tracing::warn!("{warning}"));
        }
        if !global.quiet {
            voice.say(&self.banner());
        }
        warnings.for_each(|warning| print::warning(&warning));
        if !global.quiet && self.settings.file.is_none() {
            voice.say(&self.demo_hints());
        }
    }

    /// What there is, and where it came from.
    fn banner(&self) -> String {
        let new = if self.is_new { "new database" } else { "database" };
        let mut lines = vec![format!("{} {}", paint(new, BOLD), self.settings.database.display())];
        lines.extend(self.settings.sources.iter().flat_map(|source| self.source(source)));
        for handler in &self.settings.handlers {
            lines.push(format!("{}  {}", paint(&handler.name, BOLD), check::handler_target(handler)));
            lines.extend(check::handler_secrets(handler).iter().map(|(name, fingerprint)| format!("    {name} {fingerprint}")));
        }
        if self.settings.public_url.is_some() {
            lines.push(format!("{}  http://{}", paint("listens", BOLD), self.listen));
        }
        let token = self.settings.admin_token.as_ref();
        let token = token.map_or_else(String::new, |token| format!("  token {}", crate::verify::fingerprint(token)));
        lines.push(format!("{}  http://{}{token}", paint("admin", BOLD), self.admin_listen));
        lines.join("\n")
    }

    fn source(&self, source: &SourceSettings) -> Vec<String> {
        let base = self.settings.public_url.clone().unwrap_or_else(|| format!("http://{}", self.listen));
        let mut lines = vec![format!("{}  {base}/hooks/{}  {}", paint(&source.name, BOLD), source.name, source.preset.title())];
        lines.extend(source.secrets.iter().map(|secret| format!("    {}", check::secret_sentence(source, secret))));
        if source.verifier.takes_credentials() {
            lines.push("    it is sent with each delivery: it proves who sends, not what the body says".to_owned());
        }
        lines
    }

    /// What to do next.
    fn demo_hints(&self) -> String {
        let listen = self.listen;
        let to = if listen.port() == 8080 { String::new() } else { format!(" --to http://{listen}") };
        let github = self.settings.sources.iter().find(|source| source.name.as_str() == "github");
        let origin = github.and_then(|source| source.secrets.first()).map_or("", |secret| &secret.origin);
        let secret = match origin.split_once(' ') {
            Some(("env", variable)) => format!("${variable}"),
            Some((_, path)) => format!("$(cat {path})"),
            None => String::new(),
        };
        let fixtures = if own_command() == "hookgate" { "stripe github" } else { "fixtures/stripe fixtures/github" };
        format!(
            "\nStripe and GitHub cannot reach loopback. To bridge real deliveries:\n    \
             stripe listen --forward-to {listen}/hooks/stripe      (start serve with its whsec_... in STRIPE_WEBHOOK_SECRET)\n    \
             gh webhook forward --repo OWNER/REPO --events '*' --url http://{listen}/hooks/github --secret \"{secret}\"\n\
             Or play signed fixtures, in a second terminal:\n    \
             {} replay {fixtures}{to}{}\n",
            own_command(),
            self.options
        )
    }
}

/// Tasks that wait for a handler that is no more.
pub(super) async fn unhandled(gateway: &Gateway, options: &str) -> Vec<String> {
    let known = gateway.routes().handlers().cloned().collect();
    let tasks = gateway.ledger().unhandled(known).await.unwrap_or_default();
    let say = |(handler, tasks)| {
        format!(
            "{} of handler `{handler}` wait, and no handler has that name now: bring it back, move them with \
             hookgate redrive --handler {handler} --to-handler NEW{options}, or end them with \
             hookgate discard --handler {handler} --reason '...'{options}",
            print::counted(tasks, "task")
        )
    };
    tasks.into_iter().map(say).collect()
}

/// How this binary was called: by cargo in a checkout, or by its name.
fn own_command() -> &'static str {
    let target = std::env::current_exe().is_ok_and(|path| path.components().any(|part| part.as_os_str() == "target"));
    if target { "cargo run --" } else { "hookgate" }
}

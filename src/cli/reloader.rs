//! The reload of a running gateway: reads the configuration again, goes by it if it is good, and says what came of it.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::exit::{Failure, UNREACHABLE};
use super::voice::Voice;
use super::{Global, LogFormat, access, announce, print, setup};
use crate::app::Gateway;
use crate::config::{Flags, Keys, Settings};
use crate::model::ReloadReport;
use crate::web::{Reload, ReloadRefused};

/// See the module.
pub(super) struct Reloader {
    gateway: Gateway,
    flags: Flags,
    voice: Option<Voice>,
}

impl Reloader {
    /// For a gateway that was started from a file with these flags; none for the demo, which has nothing to read again.
    pub(super) fn new(
        global: &Global,
        gateway: &Gateway,
        flags: &Flags,
        settings: &Settings,
        voice: &Voice,
    ) -> Option<Arc<Self>> {
        // The same file again, also where it was found by its default name: without it there is no demo in its place.
        let flags = Flags { config: Some(settings.file.clone()?), ..flags.clone() };
        let spoken = global.log_format == LogFormat::Pretty && !global.quiet;
        Some(Arc::new(Self { gateway: gateway.clone(), flags, voice: spoken.then(|| voice.clone()) }))
    }

    /// The same, as the admin listener asks for it.
    pub(super) fn hook(self: &Arc<Self>) -> Reload {
        let (reloader, runtime) = (Arc::clone(self), Handle::current());
        Arc::new(move || {
            let reloader = Arc::clone(&reloader);
            // To its end, also where who asked has gone away.
            let done = runtime.spawn(async move { reloader.reload().await });
            Box::pin(async move {
                done.await.unwrap_or_else(|error| Err(ReloadRefused { code: "internal", message: error.to_string() }))
            })
        })
    }

    /// Reads, and goes by it or changes nothing.
    pub(super) async fn reload(&self) -> Result<ReloadReport, ReloadRefused> {
        match self.try_reload().await {
            Ok(report) => {
                self.tell(&report);
                Ok(report)
            }
            Err(failure) => {
                let message = failure.plain();
                tracing::error!("the configuration was not reloaded, everything is as before: {message}");
                Err(ReloadRefused { code: "bad-config", message })
            }
        }
    }

    async fn try_reload(&self) -> Result<ReloadReport, Failure> {
        let flags = self.flags.clone();
        let read = tokio::task::spawn_blocking(move || setup::settings(&flags, Keys::Make));
        let settings = read.await.unwrap_or_else(|error| Err(Failure::new(UNREACHABLE, error.to_string())))?;
        let mut report = self.gateway.reload(&settings).await.map_err(|error| access::start_failure(&error))?;
        report.warnings.extend(announce::unhandled(&self.gateway, &setup::options(&self.flags, &settings)).await);
        Ok(report)
    }

    fn tell(&self, report: &ReloadReport) {
        match &self.voice {
            Some(voice) => voice.say(&words(report)),
            None => tracing::info!(
                sources = report.sources,
                handlers = report.handlers,
                needs_restart = report.needs_restart.join(", "),
                "configuration reloaded"
            ),
        }
        report.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    }
}

/// What a reload did, for people.
pub(super) fn words(report: &ReloadReport) -> String {
    let (sources, handlers) = (print::counted(report.sources, "source"), print::counted(report.handlers, "handler"));
    match report.needs_restart.as_slice() {
        [] => format!("reloaded: {sources}, {handlers}"),
        names => format!("reloaded: {sources}, {handlers}; changed but only after a restart: {}", names.join(", ")),
    }
}

//! What was measured, as a table: medians with their range over the rounds, and ratios within each round.

use std::fmt;
use std::fs;
use std::time::Duration;

use crate::CONNECTIONS;
use crate::deliveries::Deliveries;
use crate::load::Measured;
use crate::neighbours;
use crate::process::Account;

/// One run of one configuration.
pub(crate) struct Row {
    pub(crate) measured: Measured,
    /// CPU time of the server.
    pub(crate) cpu: Duration,
    /// New events in a commit.
    pub(crate) per_commit: Option<f64>,
    /// KiB that went to the disk for each new event.
    pub(crate) written_kib: Option<f64>,
    /// Events that the handler got in a second, the rest of the way included.
    pub(crate) handled_per_second: Option<f64>,
}

impl Row {
    /// Of a server without a store.
    pub(crate) fn of(measured: Measured, cpu: Duration) -> Self {
        assert_eq!(measured.refused, 0, "deliveries were refused");
        Self { measured, cpu, per_commit: None, written_kib: None, handled_per_second: None }
    }

    /// Of a gateway that took so many events.
    pub(crate) fn of_account(measured: Measured, used: &Account, events: usize) -> Self {
        let events = events as f64;
        Self {
            per_commit: used.commits.map(|commits| events / f64::from(commits)),
            written_kib: used.written.map(|bytes| bytes as f64 / 1024.0 / events),
            ..Self::of(measured, used.cpu)
        }
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.sends() / self.measured.took.as_secs_f64()
    }

    fn cpu_us(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.sends()
    }

    fn quantile_ms(&self, quantile: f64) -> f64 {
        let last = self.measured.latencies.len() - 1;
        self.measured.latencies[(last as f64 * quantile) as usize].as_secs_f64() * 1e3
    }

    fn sends(&self) -> f64 {
        self.measured.latencies.len() as f64
    }
}

/// All runs, by configuration, the bare one first.
pub(crate) struct Table {
    head: String,
    load_before: String,
    configurations: Vec<(&'static str, Vec<Row>)>,
}

impl Table {
    pub(crate) fn begin(rounds: usize, deliveries: &Deliveries) -> Self {
        let head = format!(
            "{rounds} rounds of {} deliveries ({} events), bodies of {:.1} KiB, {CONNECTIONS} connections, closed loop; \
             fresh database each, alternating",
            deliveries.measured.len(),
            deliveries.distinct,
            deliveries.body_bytes as f64 / 1024.0
        );
        Self { head, load_before: load_average(), configurations: Vec::new() }
    }

    pub(crate) fn add(&mut self, title: &'static str, row: Row) {
        match self.configurations.iter_mut().find(|(have, _)| *have == title) {
            Some((_, rows)) => rows.push(row),
            None => self.configurations.push((title, vec![row])),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((_, first)) = self.configurations.first() else { return Ok(()) };
        writeln!(f, "{}", self.head)?;
        writeln!(f, "{}, load average {} before, {} after\n", machine(), self.load_before, load_average())?;
        writeln!(
            f,
            "medians (min-max)          {:<22} {:<22} {:<18} {:<18} {:<18} KiB/event",
            "req/s", "CPU us/req", "p50 ms", "p99 ms", "events/commit"
        )?;
        for (title, rows) in &self.configurations {
            let of = |value: &dyn Fn(&Row) -> f64, digits| range(rows.iter().map(value), digits);
            let per_commit = range(rows.iter().filter_map(|row| row.per_commit), 1);
            let written = range(rows.iter().filter_map(|row| row.written_kib), 1);
            writeln!(
                f,
                "{title:<26} {:<22} {:<22} {:<18} {:<18} {per_commit:<18} {written}",
                of(&Row::per_second, 0),
                of(&Row::cpu_us, 1),
                of(&|row| row.quantile_ms(0.5), 2),
                of(&|row| row.quantile_ms(0.99), 1),
            )?;
        }
        let others = &self.configurations[1..];
        if !others.is_empty() {
            writeln!(f, "\nratios to the first in the same round  {:<18} CPU", "req/s")?;
        }
        for (title, rows) in others {
            let pairs = || rows.iter().zip(first);
            let speed = range(pairs().map(|(row, first)| row.per_second() / first.per_second()), 2);
            let cpu = range(pairs().map(|(row, first)| row.cpu_us() / first.cpu_us()), 2);
            writeln!(f, "{title:<38} {speed:<18} {cpu}")?;
        }
        for (title, rows) in &self.configurations {
            let handled = range(rows.iter().filter_map(|row| row.handled_per_second), 0);
            if !handled.is_empty() {
                writeln!(f, "\n{title}: its handlers got {handled} events/s until it had all; its CPU is that of the whole way")?;
            }
        }
        let rows_of = |title: &str| self.configurations.iter().find(|(have, _)| *have == title).map(|(_, rows)| rows);
        if let (Some(well), Some(ill)) = (rows_of(neighbours::ALL_WELL), rows_of(neighbours::TWO_ILL)) {
            let pairs = well.iter().zip(ill).filter_map(|(well, ill)| Some(ill.handled_per_second? / well.handled_per_second?));
            writeln!(f, "\nof ten handlers with two ill the eight get {} of what they get with all well", range(pairs, 2))?;
        }
        Ok(())
    }
}

/// `median (min-max)`, or nothing where nothing was measured.
fn range(values: impl Iterator<Item = f64>, digits: usize) -> String {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values[..] {
        [] => String::new(),
        [only] => format!("{only:.digits$}"),
        [min, .., max] => format!("{:.digits$} ({min:.digits$}-{max:.digits$})", median(&values)),
    }
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) { f64::midpoint(sorted[middle - 1], sorted[middle]) } else { sorted[middle] }
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("", |(_, name)| name);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!("{cores} cores, {model}, Linux {}", kernel.trim())
}

fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("?").to_owned()
}

//! Everything that came of a command: ended, and waited for.

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, wait, waitpgid};

/// From now on a process whose parent has died becomes our child, if it came of one of ours, whatever group and session it is in.
#[cfg(target_os = "linux")]
pub(super) fn adopt_orphans() {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).ok();
}

/// Only Linux has that: elsewhere what leaves the command's group escapes.
#[cfg(not(target_os = "linux"))]
pub(super) fn adopt_orphans() {}

/// Kills the command, which is our child and not waited for yet, and all that came of it. Returns when that is gone, with the command's
/// own end; none where we may not kill it, as it has become another user's.
pub(super) fn end(command: Pid) -> Option<WaitStatus> {
    kill_process(command, Signal::KILL).ok();
    // The number is its group's as long as the leader has not been waited for.
    kill_process_group(command, Signal::KILL).ok();
    let mut ended = None;
    loop {
        let gone = match kill_children() {
            Some(Killed::Some) => wait(WaitOptions::empty()),
            // What still lives is not ours to kill.
            Some(Killed::None) => wait(WaitOptions::NOHANG),
            None => waitpgid(command, WaitOptions::empty()),
        };
        match gone {
            Ok(Some((pid, status))) if pid == command => ended = Some(status),
            Ok(Some(_)) | Err(Errno::INTR) => {}
            // There is none left.
            Ok(None) | Err(_) => return ended,
        }
    }
}

/// Whether there was one that we may kill.
enum Killed {
    Some,
    None,
}

/// Kills every child: the command, and orphans of it. Each is ours until we wait for it, so its number is its own. One that dies leaves
/// us its own children before it can be waited for; so where there is no child there is nothing more of the command. None where the
/// system does not list them.
fn kill_children() -> Option<Killed> {
    let children = std::fs::read_to_string("/proc/thread-self/children").ok()?;
    let pids = children.split_ascii_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?));
    let killed = pids.filter(|pid| kill_process(*pid, Signal::KILL).is_ok()).count();
    Some(if killed > 0 { Killed::Some } else { Killed::None })
}

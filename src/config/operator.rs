//! Who is at the keyboard, as the system knows it.

use super::Environment;

/// Where users are listed, where that is a file.
const USERS: &str = "/etc/passwd";

/// The name of the user that this process runs for, for a record of who did something: by the list of users, else by the
/// environment, else the number.
#[must_use]
pub fn operator(env: &Environment) -> String {
    let uid = rustix::process::getuid().as_raw();
    let listed = std::fs::read_to_string(USERS).ok().and_then(|users| user(&users, uid));
    let named = || ["USER", "LOGNAME"].into_iter().find_map(|name| env.var(name)).filter(|name| !name.is_empty());
    listed.or_else(named).unwrap_or_else(|| format!("uid {uid}"))
}

fn user(users: &str, uid: u32) -> Option<String> {
    let uid = uid.to_string();
    let mut lines = users.lines().map(|line| line.split(':'));
    lines.find_map(|mut fields| {
        let name = fields.next().filter(|name| !name.is_empty())?;
        (fields.nth(1)? == uid).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_number() {
        let users = "root:x:0:0::/root:/bin/sh\n# a comment\n\nada:x:1000:1000:Ada,,,:/home/ada:/bin/sh\n";
        assert_eq!(user(users, 1000).as_deref(), Some("ada"));
        assert_eq!(user(users, 100), None);
    }
}

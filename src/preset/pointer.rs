//! JSON pointers (RFC 6901), parsed.

use std::fmt;
use std::sync::Arc;

/// Why a text is no pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a JSON pointer begins with `/`, and writes `~` as `~0` and `/` inside a key as `~1`")]
pub struct InvalidPointer;

/// A way to one value inside a JSON document. Never the whole document.
#[derive(Clone, PartialEq, Eq)]
pub struct Pointer {
    text: Arc<str>,
    keys: Vec<Box<str>>,
}

impl Pointer {
    /// Takes a pointer as RFC 6901 writes it.
    ///
    /// # Errors
    /// [`InvalidPointer`] for any other text, the empty one too.
    pub fn parse(text: &str) -> Result<Self, InvalidPointer> {
        let keys = text.strip_prefix('/').ok_or(InvalidPointer)?.split('/').map(unescape).collect::<Result<_, _>>()?;
        Ok(Self { text: text.into(), keys })
    }

    /// The pointer as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its keys from the outermost in, unescaped. In an array a key is an index.
    #[must_use]
    pub fn keys(&self) -> &[Box<str>] {
        &self.keys
    }
}

fn unescape(key: &str) -> Result<Box<str>, InvalidPointer> {
    let mut parts = key.split('~');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (escaped, rest) = part.split_at_checked(1).ok_or(InvalidPointer)?;
        plain.push(match escaped {
            "0" => '~',
            "1" => '/',
            _ => return Err(InvalidPointer),
        });
        plain.push_str(rest);
    }
    Ok(plain.into())
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_cut_at_slashes_and_unescaped() {
        let keys =
            |text: &str| Pointer::parse(text).map(|pointer| pointer.keys.iter().map(|key| key.to_string()).collect::<Vec<_>>());
        assert_eq!(keys("/a/0/b").as_deref(), Ok(&["a".to_owned(), "0".into(), "b".into()][..]));
        assert_eq!(keys("/").as_deref(), Ok(&[String::new()][..]));
        assert_eq!(keys("/a~1b/~0~01").as_deref(), Ok(&["a/b".to_owned(), "~~1".into()][..]));
        for bad in ["", "a", "#/a", "/~", "/a~2", "/a~"] {
            assert_eq!(keys(bad), Err(InvalidPointer), "{bad:?}");
        }
    }
}

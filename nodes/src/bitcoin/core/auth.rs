//! Who we are to a node: user and password of its URL, or its cookie file.
//!
//! Guarantee: the cookie, which the node writes anew with every start, is read when it is first needed and again when the node refuses what
//! was read; nothing of either reaches a message.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::header::HeaderValue;
use tokio::io::AsyncReadExt;
use url::Url;

use crate::{
    error::NodeErrorKind,
    mask::{Mask, user_and_password},
};

/// A cookie file has less than a hundred bytes.
const COOKIE_BYTES: u64 = 1 << 10;

/// What a cookie file held.
#[derive(Clone)]
struct Held {
    value: HeaderValue,
    mask: Mask,
}

/// See the module.
pub(super) struct Auth {
    fixed: Option<HeaderValue>,
    cookie: Option<PathBuf>,
    held: Mutex<Option<Held>>,
}

fn basic(user_and_password: &str) -> Result<HeaderValue, String> {
    let text = format!("Basic {}", STANDARD.encode(user_and_password));
    let mut value =
        HeaderValue::from_str(&text).map_err(|_| "user and password cannot be sent over HTTP".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

impl Auth {
    /// By an endpoint's configuration. The cookie counts where both are given.
    pub fn new(url: &Url, cookie: Option<PathBuf>) -> Result<Self, String> {
        let fixed = user_and_password(url).map(|(user, password)| basic(&format!("{user}:{password}"))).transpose()?;
        Ok(Self { fixed, cookie, held: Mutex::default() })
    }

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What to send.
    pub async fn header(&self) -> Result<Option<HeaderValue>, NodeErrorKind> {
        let Some(path) = &self.cookie else { return Ok(self.fixed.clone()) };
        if let Some(held) = self.held().as_ref() {
            return Ok(Some(held.value.clone()));
        }
        self.read(path).await.map(Some)
    }

    /// The node refused what was sent: whether there is something else to send now.
    pub async fn another(&self, sent: Option<&HeaderValue>) -> Result<bool, NodeErrorKind> {
        let Some(path) = &self.cookie else { return Ok(false) };
        let now = self.read(path).await?;
        Ok(sent.is_none_or(|sent| *sent != now))
    }

    async fn read(&self, path: &Path) -> Result<HeaderValue, NodeErrorKind> {
        let unread = |e: String| {
            NodeErrorKind::Unreachable(format!("its cookie file {} cannot be used: {e}; does it run?", path.display()))
        };
        let mut text = String::new();
        let file = tokio::fs::File::open(path).await.map_err(|e| unread(e.to_string()))?;
        file.take(COOKIE_BYTES).read_to_string(&mut text).await.map_err(|e| unread(e.to_string()))?;
        let text = text.trim();
        if !text.contains(':') {
            return Err(unread("it is not `user:password`".into()));
        }
        let value = basic(text).map_err(unread)?;
        let mask = Mask::new([], value.to_str().ok());
        *self.held() = Some(Held { value: value.clone(), mask });
        Ok(value)
    }

    /// A text without the cookie.
    pub fn scrub(&self, text: String) -> String {
        match self.held().as_ref() {
            Some(held) => held.mask.scrub(text),
            None => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_cookie_is_read_again_when_it_is_refused() {
        let folder = std::env::temp_dir().join(format!("headwater-cookie-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(".cookie");
        let _ = std::fs::remove_file(&path);
        let auth = Auth::new(&"http://127.0.0.1:1/".parse().unwrap(), Some(path.clone())).unwrap();
        let missing = auth.header().await.unwrap_err().to_string();
        assert!(missing.contains(".cookie") && missing.contains("does it run?"), "{missing}");
        std::fs::write(&path, "__cookie__:0123456789abcdef").unwrap();
        let first = auth.header().await.unwrap().unwrap();
        assert_eq!(first, basic("__cookie__:0123456789abcdef").unwrap());
        assert!(!auth.another(Some(&first)).await.unwrap(), "it is the same");
        std::fs::write(&path, "__cookie__:fedcba9876543210\n").unwrap();
        assert_eq!(auth.header().await.unwrap().unwrap(), first, "not before it is refused");
        assert!(auth.another(Some(&first)).await.unwrap());
        assert_ne!(auth.header().await.unwrap().unwrap(), first);
        assert!(!auth.scrub("it said fedcba9876543210".into()).contains("fedcba"));
        std::fs::write(&path, "nothing").unwrap();
        assert!(auth.another(None).await.is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[tokio::test]
    async fn a_password_is_the_urls() {
        let auth = Auth::new(&"http://bob:s%40crt@127.0.0.1:1/".parse().unwrap(), None).unwrap();
        assert_eq!(auth.header().await.unwrap(), Some(basic("bob:s@crt").unwrap()));
        assert!(!auth.another(None).await.unwrap());
    }
}

//! What only this server can make: session tokens and SSE cursors.
//!
//! - A *session token* is a connection id with an HMAC-SHA-256 tag over it. It is secret and authorises the POSTs of an SSE session.
//! - A *cursor* is the positions of an SSE stream under AES-256-GCM (NIST SP 800-38D), so that it tells nothing, cannot be forged,
//!   and belongs to this server.
//! - All keys come from one secret. With a store it lies beside it, so that a client comes back with its cursor after a restart;
//!   without one it lives as long as the process, like everything a cursor could speak of.
//! - Each start seals cursors with a key of its own, made from the secret and a random salt that stands in the cursor. Nonces are a
//!   counter per worker, so none repeats under one key, whatever happened before.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use realtime_connector_core::id::{CONNECTION_ID_BYTES, ConnectionId};
use realtime_connector_wire::json::Secrets;

/// Bytes of the tag of a session token: 128 bits are beyond guessing.
const TAG_BYTES: usize = 16;
const SALT_BYTES: usize = 8;
/// Worker and counter.
const NUMBER_BYTES: usize = 8;
const NONCE_BYTES: usize = 12;
const GCM_TAG_BYTES: usize = 16;
/// The longest cursor looked at, in characters.
const CURSOR_CHARACTERS_MAX: usize = 1_024;

/// What all keys come from.
pub(crate) type Secret = [u8; 32];

/// A fresh secret.
pub(crate) fn fresh_secret() -> Secret {
    let mut secret = [0; 32];
    rand::fill(&mut secret).expect("the system has randomness");
    secret
}

/// The keys of a node.
#[derive(Clone)]
pub(crate) struct Keys {
    tokens: hmac::Key,
    /// Makes the keys of cursors.
    cursors: hmac::Key,
    /// Of the cursors that this start seals.
    salt: [u8; SALT_BYTES],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}

impl Keys {
    /// Fresh random keys.
    #[cfg(test)]
    pub(crate) fn random() -> Self {
        Self::from_secret(&fresh_secret())
    }

    /// The keys of this start.
    pub(crate) fn from_secret(secret: &Secret) -> Self {
        let root = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let key = |purpose: &str| hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, purpose.as_bytes()).as_ref());
        let mut salt = [0; SALT_BYTES];
        rand::fill(&mut salt).expect("the system has randomness");
        Self { tokens: key("session tokens"), cursors: key("cursors"), salt }
    }

    /// The secret token of a connection's session.
    pub(crate) fn session_token(&self, connection: ConnectionId) -> String {
        let id = connection.to_bytes();
        let tag = hmac::sign(&self.tokens, &id);
        let mut token = [0; CONNECTION_ID_BYTES + TAG_BYTES];
        token[..CONNECTION_ID_BYTES].copy_from_slice(&id);
        token[CONNECTION_ID_BYTES..].copy_from_slice(&tag.as_ref()[..TAG_BYTES]);
        URL_SAFE_NO_PAD.encode(token)
    }

    /// Whether this is the token of that connection. Takes the same time whatever is wrong.
    pub(crate) fn is_session_token(&self, token: &str, connection: ConnectionId) -> bool {
        let expected = self.session_token(connection);
        aws_lc_rs::constant_time::verify_slices_are_equal(token.as_bytes(), expected.as_bytes()).is_ok()
    }

    /// The connection whose session token this is; `None` for anything this server has not made.
    pub(crate) fn session_of(&self, token: &str) -> Option<ConnectionId> {
        let mut bytes = [0; CONNECTION_ID_BYTES + TAG_BYTES];
        let read = URL_SAFE_NO_PAD.decode_slice(token, &mut bytes).ok()?;
        let id = bytes.first_chunk::<CONNECTION_ID_BYTES>().copied().map(ConnectionId::from_bytes)?;
        (read == bytes.len() && self.is_session_token(token, id)).then_some(id)
    }

    /// Opens a cursor; `None` for anything this node did not seal.
    pub(crate) fn open_cursor(&self, cursor: &str) -> Option<Vec<u8>> {
        if cursor.len() > CURSOR_CHARACTERS_MAX {
            return None;
        }
        let mut sealed = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (salt, rest) = sealed.split_first_chunk_mut::<SALT_BYTES>()?;
        let (number, rest) = rest.split_first_chunk_mut::<NUMBER_BYTES>()?;
        if rest.len() < GCM_TAG_BYTES {
            return None;
        }
        let plain = self.cursor_key(*salt).open_in_place(nonce(*number), Aad::empty(), rest).ok()?;
        Some(plain.to_vec())
    }

    fn cursor_key(&self, salt: [u8; SALT_BYTES]) -> LessSafeKey {
        let key = hmac::sign(&self.cursors, &salt);
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).expect("the key has the right length"))
    }
}

/// Worker and counter as a nonce. The same one never comes twice under one key: a key belongs to one start.
fn nonce(number: [u8; NUMBER_BYTES]) -> Nonce {
    let mut bytes = [0; NONCE_BYTES];
    bytes[NONCE_BYTES - NUMBER_BYTES..].copy_from_slice(&number);
    Nonce::assume_unique_for_key(bytes)
}

impl Secrets for Keys {
    fn session_token(&self, connection: ConnectionId) -> String {
        Self::session_token(self, connection)
    }
}

/// Seals the cursors of one worker.
pub(crate) struct CursorSealer {
    key: LessSafeKey,
    salt: [u8; SALT_BYTES],
    worker: u8,
    counter: u64,
    sealed: Vec<u8>,
}

impl std::fmt::Debug for CursorSealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CursorSealer(…)")
    }
}

impl CursorSealer {
    /// A sealer whose nonces no other sealer of these keys uses: `worker` is part of them.
    pub(crate) fn new(keys: &Keys, worker: u8) -> Self {
        Self { key: keys.cursor_key(keys.salt), salt: keys.salt, worker, counter: 0, sealed: Vec::new() }
    }

    /// Appends the sealed form of `plain` to `out`.
    pub(crate) fn seal(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        let mut number = self.counter.to_be_bytes();
        assert_eq!(number[0], 0, "2^56 cursors take longer than anything");
        number[0] = self.worker;
        self.counter += 1;
        self.sealed.clear();
        self.sealed.extend_from_slice(&self.salt);
        self.sealed.extend_from_slice(&number);
        self.sealed.extend_from_slice(plain);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce(number), Aad::empty(), &mut self.sealed[SALT_BYTES + NUMBER_BYTES..])
            .expect("a cursor is far below the limit of the cipher");
        self.sealed.extend_from_slice(tag.as_ref());
        let start = out.len();
        out.resize(start + self.sealed.len().div_ceil(3) * 4, 0);
        let written = URL_SAFE_NO_PAD.encode_slice(&self.sealed, &mut out[start..]).expect("there is room");
        out.truncate(start + written);
    }
}

#[cfg(test)]
mod tests {
    use realtime_connector_core::id::{SlotKey, WorkerId};
    use realtime_connector_wire::cursor::CURSOR_BYTES_MAX;

    use super::*;

    fn id(slot: u32) -> ConnectionId {
        ConnectionId { node: 7, worker: WorkerId(0), key: SlotKey { slot, generation: 1 } }
    }

    #[test]
    fn a_session_token_fits_its_connection_only() {
        let keys = Keys::random();
        let token = keys.session_token(id(1));
        assert!(keys.is_session_token(&token, id(1)));
        assert!(!keys.is_session_token(&token, id(2)));
        assert!(!Keys::random().is_session_token(&token, id(1)));
        assert!(!keys.is_session_token("", id(1)));
        assert_eq!(keys.session_of(&token), Some(id(1)));
        assert_eq!(Keys::random().session_of(&token), None);
        for garbage in ["", "x", &token[1..], &"A".repeat(39), &"A".repeat(10_000)] {
            assert_eq!(keys.session_of(garbage), None, "{garbage}");
        }
    }

    #[test]
    fn the_longest_cursor_is_a_kibibyte() {
        let keys = Keys::random();
        let plain = [7; CURSOR_BYTES_MAX];
        let mut sealed = Vec::new();
        CursorSealer::new(&keys, 3).seal(&plain, &mut sealed);
        assert_eq!(sealed.len(), CURSOR_CHARACTERS_MAX);
        let text = String::from_utf8(sealed).expect("base64 is text");
        assert_eq!(keys.open_cursor(&text).as_deref(), Some(&plain[..]));
    }

    #[test]
    fn a_cursor_opens_only_unchanged_and_here() {
        let keys = Keys::random();
        let mut sealer = CursorSealer::new(&keys, 3);
        let (mut first, mut second) = (Vec::new(), Vec::new());
        sealer.seal(b"positions", &mut first);
        sealer.seal(b"positions", &mut second);
        assert_ne!(first, second, "two cursors never look alike");
        let text = String::from_utf8(first).expect("base64 is text");
        assert_eq!(keys.open_cursor(&text).as_deref(), Some(&b"positions"[..]));
        assert_eq!(Keys::random().open_cursor(&text), None);
        let secret = fresh_secret();
        let (before, after) = (Keys::from_secret(&secret), Keys::from_secret(&secret));
        let mut kept = Vec::new();
        CursorSealer::new(&before, 0).seal(b"positions", &mut kept);
        let kept = String::from_utf8(kept).expect("base64 is text");
        assert_eq!(after.open_cursor(&kept).as_deref(), Some(&b"positions"[..]), "the next start of the same server");
        for index in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[index] = if forged[index] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).expect("still text");
            assert_eq!(keys.open_cursor(&forged), None, "changed at {index}");
        }
        for garbage in ["", "x", "a\r\nid: x", "-1", &"A".repeat(100_000)] {
            assert_eq!(keys.open_cursor(garbage), None);
        }
    }
}

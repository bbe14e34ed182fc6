//! What `/ws` and `/sse` have in common: the query, the credentials, and who is at the other end.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, Version, header};
use realtime_connector_core::command::{Connect, Listen, Subscribe};
use realtime_connector_core::id::{ChannelName, DeviceId};
use realtime_connector_core::inbox::Mode;
use realtime_connector_core::position::Start;
use realtime_connector_core::rejection::{Rejection, RejectionKind};
use realtime_connector_core::session::{Client, Protocol, Provider};
use realtime_connector_wire::json;

use crate::app::App;
use crate::auth::Credentials;
use crate::http::params;

/// The peer of the socket a request came by. Forwarding headers are not believed: anybody can send them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Where a request came from: our own listener knows, and a host application may say.
pub(crate) fn peer_address(extensions: &Extensions) -> Option<SocketAddr> {
    let host = || extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    extensions.get::<Peer>().map(|peer| peer.0).or_else(host)
}

/// What the URL says.
#[derive(Debug, Default)]
pub(crate) struct Query {
    channels: Vec<String>,
    since: Option<String>,
    device: Option<String>,
    inbox: Option<String>,
    ticket: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) format: Option<String>,
    pub(crate) last_event_id: Option<String>,
}

impl Query {
    /// Reads the parameters that mean something; others are ignored, because proxies and polyfills add their own.
    pub(crate) fn parse(parts: &Parts) -> Result<Self, Rejection> {
        let mut query = Self::default();
        let text = parts.uri.query().unwrap_or_default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // What is no name at all is none of ours.
            let Some(name) = params::decode(name) else { continue };
            let single = match &*name {
                "channel" => None,
                "since" => Some(&mut query.since),
                "deviceId" => Some(&mut query.device),
                "inbox" => Some(&mut query.inbox),
                "ticket" => Some(&mut query.ticket),
                "userId" => Some(&mut query.user_id),
                "format" => Some(&mut query.format),
                "lastEventId" => Some(&mut query.last_event_id),
                _ => continue,
            };
            let Some(value) = params::decode(value) else { return Err(params::undecodable(name)) };
            match single {
                None => query.channels.push(value),
                Some(single) if single.is_none() => *single = Some(value),
                Some(_) => return Err(Rejection::field(name, "must be given once")),
            }
        }
        Ok(query)
    }

    /// Whether any parameter asks a bare `/ws` to connect by itself.
    pub(crate) const fn connects(&self) -> bool {
        !self.channels.is_empty() || self.since.is_some() || self.ticket.is_some() || self.user_id.is_some()
    }

    /// The `connect` frame that the URL stands for.
    pub(crate) fn connect(&self, channels_max: usize) -> Result<Connect, Rejection> {
        let mut names: Vec<&String> = Vec::new();
        for name in &self.channels {
            // Repeating a channel changes nothing; a page that builds its URL from a list may do so.
            if !names.contains(&name) {
                names.push(name);
            }
            if names.len() > channels_max {
                let message = format!("names more than {channels_max} channels");
                let rejection = Rejection::new(RejectionKind::LimitExceeded, message);
                return Err(rejection.at("channel").limit(channels_max as u64));
            }
        }
        let start = match &self.since {
            None => Start::Now,
            Some(_) if names.len() != 1 => {
                return Err(Rejection::field("since", "needs exactly one channel"));
            }
            Some(since) => match json::parse_position(since) {
                Some(position) => Start::Since(position),
                None => return Err(Rejection::field("since", "must be epoch-offset, as in k3f9-1042")),
            },
        };
        let subscribe = |name: &String| {
            let name = ChannelName::parse(name).map_err(|error| Rejection::name("channel", error))?;
            Ok(Subscribe { listen: Listen::Named(name), start: start.clone() })
        };
        let subscriptions = names.into_iter().map(subscribe).collect::<Result<_, Rejection>>()?;
        let device = self.device.as_deref().map(DeviceId::parse).transpose();
        let device = device.map_err(|error| Rejection::name("deviceId", error))?;
        let inbox = self.inbox.as_deref().map_or(Ok(Mode::Auto), json::parse_inbox_mode)?;
        Ok(Connect { subscriptions, device, inbox, ..Connect::default() })
    }
}

/// What a request shows of who sends it. Two different explicit tokens are refused rather than ranked.
pub(crate) fn credentials(app: &App, parts: &Parts, query: &Query) -> Result<Credentials, Rejection> {
    if query.ticket.is_some() && !app.takes_tickets {
        let rejection =
            Rejection::new(RejectionKind::NotEnabled, "is for applications with an authenticator of their own");
        return Err(rejection.at("ticket"));
    }
    let bearer = bearer(&parts.headers)?;
    let ticket = query.ticket.clone().map(Cow::Owned);
    let explicit = match (bearer, ticket) {
        (Some(bearer), Some(ticket)) if bearer != ticket => {
            return Err(Rejection::field("ticket", "contradicts the Authorization header"));
        }
        (bearer, ticket) => bearer.or(ticket),
    };
    let cookie = app.config.auth.cookie.as_deref().and_then(|name| cookie_value(&parts.headers, name));
    let origin = parts.headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    Ok(Credentials {
        token: explicit.map(Cow::into_owned),
        cookie: cookie.map(str::to_owned),
        user_id: query.user_id.clone(),
        origin: origin.map(str::to_owned),
    })
}

/// The token of `Authorization: Bearer`; the scheme is case-insensitive (RFC 9110, 11.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Option<Cow<'_, str>>, Rejection> {
    let unauthenticated = |message: &'static str| Rejection::new(RejectionKind::Unauthenticated, message);
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Rejection::field("authorization", "must be given once"));
    }
    let value = value.to_str().map_err(|_| unauthenticated("the Authorization header is not plain text"))?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => {
            Ok(Some(Cow::Borrowed(token.trim())))
        }
        Some(_) | None => Err(unauthenticated("the Authorization header must be 'Bearer' and a token")),
    }
}

fn cookie_value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    cookies.flat_map(|line| line.split(';')).find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name).then_some(value)
    })
}

/// User agents that connections share.
#[derive(Debug, Default)]
pub(crate) struct UserAgents(Mutex<HashSet<Arc<str>>>);

impl UserAgents {
    /// Different ones kept; a stranger who sends a new one each time must not fill the memory.
    const KEPT_MAX: usize = 1_024;
    /// Characters kept of one; the longest real ones have about 300.
    const BYTES_MAX: usize = 512;

    fn intern(&self, headers: &HeaderMap) -> Option<Arc<str>> {
        let agent = headers.get(header::USER_AGENT)?.to_str().ok()?;
        let agent = &agent[..agent.len().min(Self::BYTES_MAX)];
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = known.get(agent) {
            return Some(same.clone());
        }
        let fresh: Arc<str> = agent.into();
        if known.len() < Self::KEPT_MAX {
            known.insert(fresh.clone());
        }
        Some(fresh)
    }

    /// The other end of a request.
    pub(crate) fn client(&self, parts: &Parts, provider: Provider) -> Client {
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        Client {
            provider,
            address: peer_address(&parts.extensions).unwrap_or(unknown),
            user_agent: self.intern(&parts.headers),
            protocol: if parts.version == Version::HTTP_2 { Protocol::Http2 } else { Protocol::Http1 },
        }
    }
}

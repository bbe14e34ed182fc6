//! What dev mode prints when it is ready: things that can be copied and that work.

use std::net::{IpAddr, SocketAddr};

use realtime_connector::config::Config;

/// The text, for a server at this address.
pub(super) fn text(config: &Config, address: SocketAddr) -> String {
    // A wildcard address is no place to go to, and dev mode is on loopback anyway.
    let host = match address.ip() {
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    let authority = format!("{host}:{}", address.port());
    let (sse, websocket) = (&config.providers.sse, &config.providers.websocket);
    let mut page = Vec::new();
    if sse.enabled {
        page.push(format!(
            "new EventSource('http://{authority}{}?channel=orders').addEventListener('update', e => console.log(e.data))",
            sse.path
        ));
    }
    if websocket.enabled {
        page.push(format!(
            "new WebSocket('ws://{authority}{}?channel=orders').onmessage = e => console.log(e.data)",
            websocket.path
        ));
    }
    let data = r#"{"channel":"orders","type":"update","data":{"hello":"world"}}"#;
    format!(
        "\nRealtime Connector {version}, in dev mode\n\n\
         Open     http://{authority}/\n\
         Listen   {listen}\n\
         Publish  curl --json '{data}' http://{authority}/api/broadcast\n\n\
         Warning: no authentication. Every program on this machine may read and send everything; other machines and \
         pages of other sites may not.\n         `realtime-connector config explain auth` says how to change that.\n\n",
        version = env!("CARGO_PKG_VERSION"),
        listen = page.join("\n         "),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_can_be_copied_and_works() {
        let config = Config::from_toml("providers.sse.path = '/events'").expect("valid");
        let address = "127.0.0.1:8080".parse().expect("an address");
        let expected = [
            "",
            concat!("Realtime Connector ", env!("CARGO_PKG_VERSION"), ", in dev mode"),
            "",
            "Open     http://127.0.0.1:8080/",
            "Listen   new EventSource('http://127.0.0.1:8080/events?channel=orders').addEventListener('update', e => \
             console.log(e.data))",
            "         new WebSocket('ws://127.0.0.1:8080/ws?channel=orders').onmessage = e => console.log(e.data)",
            "Publish  curl --json '{\"channel\":\"orders\",\"type\":\"update\",\"data\":{\"hello\":\"world\"}}' \
             http://127.0.0.1:8080/api/broadcast",
            "",
            "Warning: no authentication. Every program on this machine may read and send everything; other machines \
             and pages of other sites may not.",
            "         `realtime-connector config explain auth` says how to change that.",
            "",
        ];
        assert_eq!(text(&config, address).lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn only_what_is_offered_is_shown_and_addresses_can_be_opened() {
        let config = Config::from_toml("providers.sse.enabled = false").expect("valid");
        let text = text(&config, "[::1]:9000".parse().expect("an address"));
        assert!(text.contains("Open     http://[::1]:9000/\n"), "{text}");
        assert!(text.contains("Listen   new WebSocket('ws://[::1]:9000/ws") && !text.contains("EventSource"), "{text}");
    }
}

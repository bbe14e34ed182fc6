//! The event bus: order, isolation, bounds, and that it needs no runtime.

#[path = "support/executor.rs"]
mod executor;

use std::time::Duration;

use realtime_connector::{Event, EventBus, PatternError, PublishError, SubscribeError, Subscription};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Long enough for a busy machine, short enough for a person.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u32,
}

/// Sends what a pattern hears to a receiver, as `type payload`.
fn hear(bus: &EventBus, pattern: &str) -> (Subscription, mpsc::Receiver<String>) {
    let (seen, receiver) = mpsc::channel(10_000);
    let subscription = bus.subscribe(pattern, move |event: Event| {
        let seen = seen.clone();
        async move { seen.send(format!("{} {}", event.event_type, event.payload)).await }
    });
    (subscription.expect("a good pattern"), receiver)
}

async fn next(receiver: &mut mpsc::Receiver<String>) -> String {
    tokio::time::timeout(PATIENCE, receiver.recv()).await.expect("in time").expect("the handler is there")
}

/// Waits for what a handler that is not this test's does.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !is_so() {
        assert!(tokio::time::Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_handler_hears_what_matches_its_pattern_in_order() {
    let bus = EventBus::new();
    let (_orders, mut orders) = hear(&bus, "order.*");
    let (_all, mut all) = hear(&bus, "**");
    for number in 0..100 {
        bus.publish("order.created", number).await.expect("published");
        bus.publish("user.created", number).await.expect("published");
    }
    for number in 0..100 {
        assert_eq!(next(&mut orders).await, format!("order.created {number}"));
        assert_eq!(next(&mut all).await, format!("order.created {number}"));
        assert_eq!(next(&mut all).await, format!("user.created {number}"));
    }
    assert_eq!(bus.stats().published, 200);
}

#[tokio::test]
async fn an_event_says_what_happened_when_and_as_which_one() {
    let bus = EventBus::new();
    let (sender, mut events) = mpsc::channel(2);
    let _kept = bus.subscribe("order.created", move |event: Event<Order>| {
        let sender = sender.clone();
        async move { sender.send(event).await }
    });
    bus.publish("order.created", Order { id: 7 }).await.expect("published");
    bus.publish("order.created", json!({"id": 8, "more": "is ignored"})).await.expect("published");
    let (first, second) = (events.recv().await.expect("one"), events.recv().await.expect("another"));
    assert_eq!((first.payload, second.payload), (Order { id: 7 }, Order { id: 8 }));
    assert_eq!((first.id.len(), second.id.len()), (16, 16));
    assert_ne!(first.id, second.id);
    assert!(first.time_ms <= second.time_ms && first.time_ms > 1_700_000_000_000);
}

#[tokio::test]
async fn one_event_has_the_documented_json_form() {
    let bus = EventBus::new();
    let (sender, mut events) = mpsc::channel(1);
    let _kept = bus.subscribe("a", move |event: Event| {
        let sender = sender.clone();
        async move { sender.send(serde_json::to_value(event).expect("JSON")).await }
    });
    bus.publish("a", json!({"b": 1})).await.expect("published");
    let event = events.recv().await.expect("one");
    let names: Vec<&String> = event.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["id", "payload", "time", "type"]);
    assert_eq!((&event["type"], &event["payload"]), (&json!("a"), &json!({"b": 1})));
}

#[tokio::test]
async fn a_failing_handler_harms_nobody_else_and_gets_the_next_event() {
    let bus = EventBus::new();
    let failing = bus.subscribe("a", |event: Event<u32>| async move {
        match event.payload {
            1 => Err("one is too few"),
            2 => panic!("two is too many"),
            _ => Ok(()),
        }
    });
    let failing = failing.expect("subscribed");
    let panics_at_once = bus.subscribe("a", |event: Event| {
        assert_ne!(event.payload, 2, "before the first await");
        async {}
    });
    let panics_at_once = panics_at_once.expect("subscribed");
    let (_healthy, mut healthy) = hear(&bus, "a");
    for payload in [json!(1), json!(2), json!("no number"), json!(4)] {
        bus.publish("a", payload).await.expect("published");
    }
    for payload in ["1", "2", "\"no number\"", "4"] {
        assert_eq!(next(&mut healthy).await, format!("a {payload}"));
    }
    until("the failing ones are done", || failing.stats().handled + panics_at_once.stats().handled == 8).await;
    let stats = failing.stats();
    assert_eq!(
        (stats.failed, stats.panicked, stats.missed),
        (2, 1, 0),
        "one error, one payload of another type, one panic"
    );
    let stats = panics_at_once.stats();
    assert_eq!((stats.failed, stats.panicked, stats.missed), (0, 1, 0));
    assert_eq!(bus.stats().handlers.handled, 12, "the sum over all of them");
}

#[tokio::test]
async fn dropping_the_subscription_ends_it_and_detaching_keeps_it() {
    let bus = EventBus::new();
    let (dropped, mut unheard) = hear(&bus, "a");
    let (unsubscribed, mut unheard_too) = hear(&bus, "a");
    let (detached, mut heard) = hear(&bus, "a");
    drop(dropped);
    unsubscribed.unsubscribe();
    detached.detach();
    assert_eq!(bus.stats().subscriptions, 1);
    bus.publish("a", 1).await.expect("published");
    assert_eq!(next(&mut heard).await, "a 1");
    assert_eq!((unheard.recv().await, unheard_too.recv().await), (None, None), "their handlers are gone");
}

#[tokio::test]
async fn a_publisher_waits_for_room_and_then_learns_who_had_none() {
    const QUEUE: u32 = 1_024;
    let bus = EventBus::new();
    let (release, held) = tokio::sync::watch::channel(false);
    let stuck = bus.subscribe("a", move |_: Event| {
        let mut held = held.clone();
        async move { held.wait_for(|released| *released).await.map(|_| ()) }
    });
    let stuck = stuck.expect("subscribed");
    let (_healthy, mut healthy) = hear(&bus, "a");
    bus.publish("a", 0).await.expect("the handler takes one");
    until("the handler has taken it", || stuck.stats().handled == 0 && !healthy.is_empty()).await;
    // The handler may not have taken its first event off the queue yet, so one more than fits is two at most.
    let mut refused = 0_u64;
    for number in 1..=QUEUE + 2 {
        if let Err(error) = bus.publish("a", number).await {
            let PublishError::Full { handlers } = &error else { panic!("{error}") };
            assert!(handlers[0].starts_with("'a' (") && handlers[0].contains("event_bus.rs:"), "{handlers:?}");
            assert_eq!(handlers.len(), 1, "the healthy one is not named");
            refused += 1;
        }
    }
    assert!((1..=2).contains(&refused), "{refused}");
    assert_eq!(stuck.stats().missed, refused);
    for number in 0..=QUEUE + 2 {
        assert_eq!(next(&mut healthy).await, format!("a {number}"), "nobody else missed anything");
    }
    release.send_replace(true);
    until("the handler has caught up", || stuck.stats().handled == u64::from(QUEUE + 3) - refused).await;
    bus.publish("a", 1).await.expect("there is room again");
}

#[tokio::test]
async fn what_cannot_be_published_or_subscribed_is_told() {
    let bus = EventBus::new();
    let refused = bus.subscribe("order*", |_: Event| async {}).map(drop).expect_err("no pattern");
    let pattern = "order*".to_owned();
    assert_eq!(refused, SubscribeError::Pattern { pattern, reason: PatternError::PartialStar });
    assert_eq!(refused.to_string(), "bad pattern 'order*': '*' must stand for a whole segment, as in 'order.*'",);
    let long = "x".repeat(200);
    for event_type in ["", "$dropped", "a\nb", &long] {
        assert!(matches!(bus.publish(event_type, 1).await, Err(PublishError::Type(_))), "{event_type:?}");
    }
    let odd_keys = std::collections::BTreeMap::from([(vec![1], 2)]);
    assert!(matches!(bus.publish("a", odd_keys).await, Err(PublishError::Payload(_))));
}

#[test]
fn without_a_runtime_the_library_has_one() {
    let bus = EventBus::new();
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    let subscription = bus.subscribe("a", move |event: Event<Value>| {
        let sender = sender.clone();
        async move {
            // A timer needs a runtime.
            tokio::time::sleep(Duration::from_millis(1)).await;
            sender.send(event.payload)
        }
    });
    executor::block_on(bus.publish("a", 1)).expect("published");
    assert_eq!(receiver.recv_timeout(PATIENCE).expect("handled"), json!(1));
    drop(subscription);
}

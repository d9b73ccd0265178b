//! The negotiation of permessage-deflate: whatever a client offers, the answer is one that some
//! offer of it allows (RFC 7692 §7.1), and says what was agreed.
//!
//! Input: two bytes choose the route's compression, the rest are the field's lines.

use std::collections::BTreeMap;

use http::header::SEC_WEBSOCKET_EXTENSIONS;
use http::{HeaderMap, HeaderValue};
use tidewire::protocol::{Agreement, Compression, Outbound, negotiate};

use crate::choices::Choices;

/// Parameters by name.
type Parameters = BTreeMap<String, Option<String>>;

/// See the module.
///
/// # Panics
///
/// Where a property does not hold.
pub fn check(data: &[u8]) {
    const COMPRESSORS: [u32; 10] = [0, 1, 0x91, 0x92, 0xa3, 0xb4, 0xc5, 0xd6, 0xe7, 0xf8];
    const DECOMPRESSORS: [u32; 9] = [0, 0x100, 0x900, 0xa00, 0xb00, 0xc00, 0xd00, 0xe00, 0xf00];
    let mut choices = Choices::new(data);
    let compressor = COMPRESSORS[usize::from(choices.byte()) % COMPRESSORS.len()];
    let decompressor = DECOMPRESSORS[usize::from(choices.byte()) % DECOMPRESSORS.len()];
    let constant = compressor | decompressor;
    let compression = Compression::from_constant(constant).expect("a constant of the API");
    let mut headers = HeaderMap::new();
    let mut text = String::new();
    for line in choices.remainder().split(|&byte| byte == b'\n') {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(SEC_WEBSOCKET_EXTENSIONS, value);
            text.push_str(&String::from_utf8_lossy(line));
            text.push(',');
        }
    }
    let Ok(Some((agreement, answer))) = negotiate(&headers, compression) else {
        return;
    };
    assert_ne!(constant, 0, "compression was turned off");
    let answer = answer.to_str().expect("an answer is ASCII");
    let said = element(answer).expect("an answer has no parameter twice");
    let offers: Vec<Parameters> = text.split(',').filter_map(element).collect();
    assert!(
        offers.iter().any(|offer| allows(offer, &said)),
        "{answer:?} answers none of {offers:?} with compression {constant:#x}"
    );
    check_agreement(agreement, &said, compressor);
}

/// Parameters of an element that is permessage-deflate, if it has none twice. Quotes and escapes
/// are left out: an offer that has a comma or a semicolon in them is refused as a whole.
fn element(text: &str) -> Option<Parameters> {
    let mut parts = text.split(';').map(|part| part.trim_matches([' ', '\t']));
    if parts.next() != Some("permessage-deflate") {
        return None;
    }
    let mut parameters = Parameters::new();
    for part in parts {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => {
                (name.trim_end_matches([' ', '\t']), Some(value.replace(['"', '\\', ' ', '\t'], "")))
            }
            None => (part, None),
        };
        if parameters.insert(name.to_owned(), value).is_some() {
            return None;
        }
    }
    Some(parameters)
}

/// The size of a window that a parameter says, 15 if it says none.
fn bits(parameters: &Parameters, name: &str) -> u8 {
    let value = parameters.get(name).and_then(Option::as_deref);
    value.map_or(15, |value| value.parse().expect("window bits are a number"))
}

/// Whether a client that sent the offer must take the answer.
fn allows(offer: &Parameters, answer: &Parameters) -> bool {
    const NAMES: [&str; 4] = [
        "server_no_context_takeover",
        "client_no_context_takeover",
        "server_max_window_bits",
        "client_max_window_bits",
    ];
    let is_size = |value: &str| ["8", "9", "10", "11", "12", "13", "14", "15"].contains(&value);
    let offer_is_valid = offer.iter().all(|(name, value)| match (name.as_str(), value.as_deref()) {
        ("server_no_context_takeover" | "client_no_context_takeover" | "client_max_window_bits", None) => true,
        ("server_max_window_bits" | "client_max_window_bits", Some(value)) => is_size(value),
        _ => false,
    });
    let answer_is_valid = answer.iter().all(|(name, value)| {
        NAMES.contains(&name.as_str())
            && value.is_some() == name.ends_with("bits")
            && value.as_deref().is_none_or(is_size)
    });
    let [server_alone, _, server_bits, client_bits] = NAMES;
    offer_is_valid
        && answer_is_valid
        // §7.1.1.1: it is asked for, so it is answered.
        && (!offer.contains_key(server_alone) || answer.contains_key(server_alone))
        // §7.1.2.1: the answer has a window of that size or a smaller one.
        && (!offer.contains_key(server_bits)
            || answer.contains_key(server_bits) && bits(answer, server_bits) <= bits(offer, server_bits))
        // §7.1.2.2: only a client that offers it may be told its window, and no larger one.
        && (!answer.contains_key(client_bits)
            || offer.contains_key(client_bits) && bits(answer, client_bits) <= bits(offer, client_bits))
}

/// What the connection will do is what was said.
fn check_agreement(agreement: Agreement, said: &Parameters, compressor: u32) {
    match agreement.outbound() {
        Outbound::Plain => assert_eq!(compressor, 0),
        Outbound::Alone { window_bits } => assert!(window_bits <= bits(said, "server_max_window_bits")),
        Outbound::Takeover { window_bits } => {
            assert!(window_bits <= bits(said, "server_max_window_bits"));
            assert!(!said.contains_key("server_no_context_takeover"), "context is taken over against the answer");
        }
    }
    match agreement.inbound_window_bits() {
        None => assert!(said.contains_key("client_no_context_takeover"), "a client's context is not kept"),
        Some(window_bits) => assert!(window_bits >= bits(said, "client_max_window_bits")),
    }
}

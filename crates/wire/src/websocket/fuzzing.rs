//! The body of the fuzz target `websocket_decoder`, here so that a plain test can replay its corpus.

//! docs/configuration.md, from the JSON schemas.
pub fn manual() -> String {
    String::new()
}

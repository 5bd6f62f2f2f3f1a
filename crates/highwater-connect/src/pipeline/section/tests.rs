use super::*;

fn with<T>(text: &str, read: impl FnOnce(&mut Section<'_>) -> Result<T>) -> Result<T> {
    let variables = Variables::new(".", ".");
    let mut section = Section::new("a", text.parse().unwrap(), &variables);
    let value = read(&mut section)?;
    section.finish().map(|()| value)
}

#[test]
fn an_unknown_key_suggests_the_nearest() {
    let read = |section: &mut Section<'_>| {
        section.text("max_size")?;
        section.text("mode")
    };
    let error = |text: &str| with(text, read).unwrap_err().to_string();
    assert_eq!(error("max_sise = 'x'"), "a.max_sise: unknown key; did you mean max_size?");
    assert_eq!(error("colour = 'x'"), "a.colour: unknown key; there are max_size, mode");
    assert!(with("mode = 'x'", read).is_ok());
}

#[test]
fn a_wrong_value_is_named_with_its_place() {
    let size = |text| with(text, |section| section.size("max")).map_err(|e| e.to_string());
    assert_eq!(size("max = '2KiB'"), Ok(Some(2048)));
    assert_eq!(size("max = true").unwrap_err(), "a.max: expected a size like \"64MiB\", found a boolean");
    assert!(size("max = '2 parsecs'").unwrap_err().starts_with("a.max: unknown unit"));
    let mode = with("mode = 'apend'", |section| section.choice("mode", &[("append", 1), ("upsert", 2)]));
    assert_eq!(mode.unwrap_err().to_string(), "a.mode: \"apend\" is none of append, upsert");
}

#[test]
fn keys_are_lists_of_paths() {
    let paths = with("k = ['id', ['a', 'b']]", |section| section.paths("k")).unwrap();
    assert_eq!(paths.unwrap(), [vec!["id"], vec!["a", "b"]]);
}

#[test]
fn a_secret_may_not_stand_in_a_command() {
    let words = |text: &str| with(text, |section| section.words("command")).map_err(|e| e.to_string());
    assert_eq!(words("command = ['x', '${hw:user}']").unwrap().len(), 2);
    assert!(words("command = 'x'").unwrap_err().contains("expected a list of texts"));
    for secret in ["env:TOKEN", "file:token"] {
        // Refused before it is looked for.
        let refused = words(&format!("command = ['x', '--token=${{hw:user}}${{{secret}}}']")).unwrap_err();
        assert!(
            refused.starts_with(&format!("a.command: ${{{secret}}} would stand in the arguments")),
            "{refused}"
        );
        assert!(refused.contains("environment, or a connector's config"), "{refused}");
    }
}

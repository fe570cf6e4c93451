"""Publishers' training configurations: what they say of a row's network, protocol and batch."""

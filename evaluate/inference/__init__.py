"""From images to label maps and counts on one device: `plain` as the publishers do it, `tiles` in less memory."""

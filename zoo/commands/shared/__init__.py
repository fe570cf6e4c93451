"""What several commands share: their flags, what they read out of them, how they give an answer back."""

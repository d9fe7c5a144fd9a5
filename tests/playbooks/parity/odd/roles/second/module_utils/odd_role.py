WORD = "of the role second"

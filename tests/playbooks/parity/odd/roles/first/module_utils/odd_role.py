WORD = "of the role first"

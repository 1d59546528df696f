"""What a recording of somebody's network says, from its tables alone; and where its curves go."""

"""Plain network modules. Every activation is a module (``nn.ReLU``), so that guided views can replace it."""

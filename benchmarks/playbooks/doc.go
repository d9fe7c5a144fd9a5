package playbooks
